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
	"strings"
	"sync/atomic"

	"sallyport/internal/config"
	"sallyport/internal/proxy"
)

// Options are the options of Run.
type Options struct {
	Config config.Source
	Reload <-chan struct{} // each value makes Run reload the configuration
	Log    io.Writer
}

// Run serves until ctx ends. Then requests in flight get limits.drain_timeout to end. It returns an error if the configuration is bad or a
// listener can't be opened.
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

// gcPercent lets the heap grow to five times the live heap before a collection. A proxy's live heap is a few MB, and most of its garbage
// lives as long as a request: Go's default of 100 would collect every few hundred requests. GOGC in the environment replaces it.
const gcPercent = 400

// A server is the running process. Its listeners stay open while a reload replaces the gate.
type server struct {
	log       *slog.Logger
	level     *slog.LevelVar
	started   *config.File // the configuration at the start, which the listeners and the log are made from
	state     *reloadState
	gate      atomic.Pointer[proxy.Gate]
	builder   atomic.Pointer[builder] // of the running configuration
	doors     []*door
	draining  atomic.Bool
	stopKeys  func() // ends the attempts to make the keys of the running configuration
	readiness *readiness
}

func newServer(file *config.File, out io.Writer) (*server, error) {
	s := &server{level: new(slog.LevelVar), started: file, state: newReloadState(), stopKeys: func() {}}
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

// maxLogged is the maximum length of a text in the log, in bytes. Clients choose many of these texts.
const maxLogged = 1024

// clip shortens the texts of attributes to maxLogged.
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

// load makes a configuration the running one. If it returns an error, the one before goes on running.
func (s *server) load(file *config.File) error {
	b := newBuilder(s.state, s.log)
	gate, err := b.gate(file)
	if err == nil {
		err = s.level.UnmarshalText([]byte(file.Log.Level))
	}
	if err != nil {
		if running := s.builder.Load(); running != nil {
			s.state.release(running.used, 0) // the objects that were made for file alone
		}
		return err
	}
	for _, w := range file.Warnings() {
		s.log.Warn("configuration", "warning", w)
	}
	s.ensureKeys(b)
	b.file = file
	s.state.authServer = b.authServer
	s.builder.Store(b)
	s.gate.Store(gate)
	s.state.release(b.used, file.Limits.DrainTimeout)
	return nil
}

// running returns the running configuration.
func (s *server) running() *config.File { return s.builder.Load().file }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.gate.Load().ServeHTTP(w, r) }

// serve runs the opened listeners until ctx ends.
func (s *server) serve(ctx context.Context, o Options) error {
	failed := make(chan error, len(s.doors))
	for _, d := range s.doors {
		go func() { failed <- d.serve() }()
		s.log.Info("listening", "for", d.name, "address", d.listener.Addr().String(), "tls", d.tls != nil)
	}
	go s.readiness.watch(ctx, s.dependencies)
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

// reload reads the configuration and makes it the running one. A bad configuration changes nothing.
func (s *server) reload(read config.Source) {
	var useTLS func()
	file, err := read()
	if err == nil {
		useTLS, err = s.reloadTLS(file)
	}
	if err == nil {
		err = s.load(file)
	}
	if err != nil {
		s.log.Error("reload refused, the old configuration goes on", "error", err)
		return
	}
	useTLS()
	if names := needRestart(s.started, file); len(names) > 0 {
		s.log.Warn("these settings can't change on reload: restart for that", "settings", strings.Join(names, ", "))
	}
	s.log.Info("reloaded", "routes", len(file.Routes))
}

// stop closes the listeners and waits up to drain_timeout for the requests in flight.
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
	s.state.close()
	s.log.Info("stopped")
	return errors.Join(errs...)
}
