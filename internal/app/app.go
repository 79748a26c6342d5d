// Package app builds the gate from its configuration, runs it, reloads it and stops it.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/proxy"
)

// Options are what the command line says.
type Options struct {
	Config config.Source
	Reload <-chan struct{} // each value reads the configuration again
	Log    io.Writer
}

// Run serves until ctx ends, then drains. It returns an error if the configuration is bad or a listener can't be opened.
func Run(ctx context.Context, o Options) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	file, err := o.Config()
	if err != nil {
		return err
	}
	s, err := newServer(file, o.Log)
	if err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	return s.serve(ctx, o)
}

// gcPercent lets the heap grow to five times what is live before a collection. A proxy's live heap is small, a few MB, and
// its garbage is one request long: Go's 100 would collect every few hundred requests. GOGC in the environment wins.
const gcPercent = 400

// A server is the running process: listeners that stay, and the snapshot of the configuration behind one pointer.
type server struct {
	log      *slog.Logger
	level    *slog.LevelVar
	kept     *kept
	gate     atomic.Pointer[proxy.Gate]
	builder  atomic.Pointer[builder] // of the running configuration
	doors    []*door
	draining atomic.Bool
	stopKeys func() // ends the attempts to make the keys of the running configuration

	readiness *readiness
}

func newServer(file *config.File, out io.Writer) (*server, error) {
	s := &server{level: new(slog.LevelVar), kept: newKept(), stopKeys: func() {}}
	s.log = newLog(out, file.Log, s.level)
	s.readiness = newReadiness(s.log)
	if err := s.load(file); err != nil {
		return nil, err
	}
	return s, nil
}

// newLog returns the process's log. Its level can change on reload, its format can't.
func newLog(out io.Writer, c config.Log, level *slog.LevelVar) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: clip}
	if c.Format == "text" {
		return slog.New(slog.NewTextHandler(out, options))
	}
	return slog.New(slog.NewJSONHandler(out, options))
}

// maxLogged bounds a text in the log, in bytes: clients choose many of them.
const maxLogged = 1024

// clip shortens what is too long for the log, whatever says it.
func clip(_ []string, a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	var text string
	switch v.Kind() {
	case slog.KindString:
		text = v.String()
	case slog.KindAny:
		err, ok := v.Any().(error)
		if !ok {
			return a
		}
		text = err.Error()
	}
	if len(text) > maxLogged {
		return slog.String(a.Key, text[:maxLogged]+"…")
	}
	return a
}

// load makes a file the running configuration, or changes nothing.
func (s *server) load(file *config.File) error {
	b := &builder{kept: s.kept, log: s.log, now: time.Now, used: map[any]bool{}}
	gate, err := b.gate(file)
	if err != nil {
		return err
	}
	if err := s.level.UnmarshalText([]byte(file.Log.Level)); err != nil {
		return err
	}
	for _, w := range file.Warnings() {
		s.log.Warn("configuration", "warning", w)
	}
	s.ensureKeys(b)
	b.file = file
	s.kept.oauth2 = b.issued
	s.builder.Store(b)
	s.gate.Store(gate)
	s.kept.forget(b.used, file.Limits.DrainTimeout)
	return nil
}

// running is the configuration that runs.
func (s *server) running() *config.File { return s.builder.Load().file }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.gate.Load().ServeHTTP(w, r) }

// serve runs the opened listeners until ctx ends.
func (s *server) serve(ctx context.Context, o Options) error {
	failed := make(chan error, len(s.doors))
	for _, d := range s.doors {
		go func() { failed <- d.serve() }()
		s.log.Info("listening", "for", d.name, "address", d.listener.Addr().String(), "tls", d.tls != nil)
	}
	go s.readiness.watch(ctx, s.parts)
	for {
		select {
		case <-o.Reload:
			s.reload(o.Config)
		case err := <-failed:
			return errors.Join(err, s.stop())
		case <-ctx.Done():
			return s.stop()
		}
	}
}

// reload reads the configuration again. A bad file leaves the old one running.
func (s *server) reload(read config.Source) {
	var take func()
	file, err := read()
	if err == nil {
		take, err = s.reloadDoors(file)
	}
	if err == nil {
		err = s.load(file)
	}
	if err != nil {
		s.log.Error("reload refused, the old configuration goes on", "error", err)
		return
	}
	take()
	s.log.Info("reloaded", "routes", len(file.Routes))
}

// stop drains: not ready, no new connections, then the requests in flight get drain_timeout.
func (s *server) stop() error {
	s.draining.Store(true)
	s.log.Info("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), s.running().Limits.DrainTimeout)
	defer cancel()
	var errs []error
	for _, d := range s.doors {
		if err := d.http.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: requests were still in flight: %w", d.name, err), d.http.Close())
		}
	}
	s.stopKeys()
	s.kept.close()
	s.log.Info("stopped")
	return errors.Join(errs...)
}
