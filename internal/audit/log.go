package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// A Log is the audit stream of the process. A nil *Log writes nothing. It is safe for concurrent use.
type Log struct {
	file string // empty: out is a standard stream
	log  *slog.Logger
	now  func() time.Time

	mu     sync.Mutex // guards the fields below, and the order of lines
	out    io.Writer
	failed time.Time // when a failure was last logged
}

// Open opens the stream: stdout, stderr, or a file, which is created for its owner alone and appended to. It returns nil for "". Failures
// to write go to log.
func Open(to string, stderr io.Writer, log *slog.Logger) (*Log, error) {
	l := &Log{log: log, now: time.Now}
	switch to {
	case "":
		return nil, nil
	case "stdout":
		l.out = os.Stdout
	case "stderr":
		l.out = stderr
	default:
		l.file = to
	}
	return l, l.Reopen()
}

// Reopen opens the file anew, after it was moved away. If that fails, the stream goes on into the former one.
func (l *Log) Reopen() error {
	if l == nil || l.file == "" {
		return nil
	}
	f, err := os.OpenFile(l.file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("log.audit: %w: write a file in a folder that this user may write to, or stderr", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.out
	l.out = f
	if c, ok := before.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Write writes an event, with the time. A failure is logged, at most once a minute, and doesn't fail what happened.
func (l *Log) Write(e Event) {
	if l == nil {
		return
	}
	e.clip()
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Time = l.now().UTC()
	line, err := json.Marshal(e)
	if err == nil {
		_, err = l.out.Write(append(line, '\n'))
	}
	if now := l.now(); err != nil && (l.failed.IsZero() || now.Sub(l.failed) >= time.Minute) {
		l.failed = now
		l.log.Error("audit events can't be written, and are lost", "error", err)
	}
}

// Close closes the file.
func (l *Log) Close() error {
	if l == nil || l.file == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.(io.Closer).Close()
}

// maxText is the maximum length of a field, in bytes. Issuers and clients choose some of them.
const maxText = 512

func (e *Event) clip() {
	for _, text := range []*string{
		&e.RequestID, &e.Client, &e.Route, &e.Rule, &e.Endpoint, &e.Flow, &e.Issuer, &e.Subject, &e.ClientID, &e.Why, &e.Grant, &e.By,
		&e.Actor, &e.ActorIssuer,
	} {
		if len(*text) > maxText {
			*text = strings.ToValidUTF8((*text)[:maxText], "") + "…"
		}
	}
}
