package audit

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testlog"
)

var firstCell = regexp.MustCompile("(?m)^\\| (`[^|]+`) \\|")

// TestDocumentation compares the tables in configs/audit.md with the fields of Event and with the constants.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../configs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	var written []string
	for _, row := range firstCell.FindAllStringSubmatch(string(text), -1) {
		for _, name := range strings.Split(row[1], ", ") {
			written = append(written, strings.Trim(name, "`"))
		}
	}
	want := []string{Login, Logout, Refusal, TokenIssued, ClientRegistered, Administration, "how"} // how has two rows
	for f := range reflect.TypeFor[Event]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		want = append(want, name)
	}
	slices.Sort(want)
	slices.Sort(written)
	if !slices.Equal(want, written) {
		t.Errorf("the events and fields are\n%v, the page has\n%v", want, written)
	}
	for _, value := range []string{
		ByBrowser, ByCredential, ByRemember, ByBackChannel, ByFrontChannel, ByAdministration, ByRefresh, ByVerification, ByOtherSubject,
		Started, Stopped, Reloaded, ReloadRefused, KeysRotated, IssuersForgotten,
	} {
		if !strings.Contains(string(text), "`"+value+"`") {
			t.Errorf("the page doesn't have %s", value)
		}
	}
}

// TestHostileTexts checks that no text that a client or an issuer chose makes a second line, or a long one, and that only the owner may
// read the file.
func TestHostileTexts(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	l, err := Open(name, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l.Write(Event{Event: Refusal, Subject: "x\n{\"event\":\"login\"}\u2028", RequestID: strings.Repeat("é", 10_000)})
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(name)
	if err != nil || strings.Count(string(text), "\n") != 1 || len(text) > 2*maxText || !strings.HasSuffix(string(text), "\"}\n") {
		t.Errorf("%v, the stream has %q", err, text)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// fullDisk is a file on a full disk.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestFailures checks that lost events are logged once a minute, that a file that can't be opened is an error, that the stream goes on
// after a failed Reopen, and that a nil Log does nothing.
func TestFailures(t *testing.T) {
	var out testlog.Buffer
	now := time.Unix(0, 0)
	l := &Log{out: fullDisk{}, log: slog.New(slog.NewTextHandler(&out, nil)), now: func() time.Time { return now }}
	for range 3 {
		l.Write(Event{Event: Login})
		now = now.Add(31 * time.Second)
	}
	if n := strings.Count(out.String(), "audit events can't be written, and are lost"); n != 2 {
		t.Errorf("%d lines in 62 s, expected 2:\n%s", n, &out)
	}
	folder := filepath.Join(t.TempDir(), "folder")
	name := filepath.Join(folder, "audit.log")
	if _, err := Open(name, nil, l.log); err == nil || !strings.HasPrefix(err.Error(), "log.audit: ") {
		t.Errorf("a file in no folder: %v", err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := Open(name, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	moved := folder + "-moved"
	if err := os.Rename(folder, moved); err != nil {
		t.Fatal(err)
	}
	if l.Reopen() == nil {
		t.Error("a file in no folder is opened")
	}
	l.Write(Event{Event: Login})
	if text, err := os.ReadFile(filepath.Join(moved, "audit.log")); err != nil || !strings.Contains(string(text), `"event":"login"`) {
		t.Errorf("%v, the former file has %q", err, text)
	}
	l = nil
	l.Write(Event{Event: Login})
	if l.Reopen() != nil || l.Close() != nil {
		t.Error("a nil Log does something")
	}
}
