// Package app builds the gate from its configuration, runs it, reloads it and stops it.
package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/acmecert"
	"sallyport/internal/audit"
	"sallyport/internal/config"
	"sallyport/internal/proxy"
	"sallyport/internal/telemetry"
	"sallyport/internal/watch"
)

// Options are the options of Run.
type Options struct {
	Config *config.Source
	Reload <-chan struct{} // each value makes Run reload the configuration
	Log    io.Writer

	Version, Commit string // for the metrics
}

// Run serves until ctx ends. Then requests in flight get limits.drain_timeout to end. It returns an error if the configuration is bad or a
// listener can't be opened.
func Run(ctx context.Context, o Options) error {
	defer tuneMemory()()
	file, err := o.Config.Load()
	if err != nil {
		return err
	}
	s, err := newServer(file, o)
	if err != nil {
		return err
	}
	if err := s.open(file); err != nil {
		return err
	}
	s.state.audit.Write(audit.Event{Event: audit.Administration, Action: audit.Started})
	return s.serve(ctx, o)
}

// A server is the running process. Its listeners stay open while a reload replaces the gate. Only the goroutine of serve changes it.
type server struct {
	log       *slog.Logger
	level     *slog.LevelVar
	logging   config.Log // at the start: a reload can't change all of it
	state     *reloadState
	gate      atomic.Pointer[proxy.Gate]
	builder   atomic.Pointer[builder] // of the running configuration
	mu        sync.Mutex              // guards doors against reads by other goroutines
	doors     []*door
	failed    chan error     // of a door that accepts no more connections
	drains    sync.WaitGroup // of HTTP servers that ended with a reload
	draining  atomic.Bool
	refused   atomic.Pointer[refusal] // of the last reload; nil if it wasn't refused
	stopKeys  func()                  // ends the attempts to make the keys of the running configuration
	certifier *acmecert.Certifier     // of the running configuration, guarded by mu; nil without acme
	readiness *readiness
	about     about
}

func newServer(file *config.File, o Options) (s *server, err error) {
	s = &server{level: new(slog.LevelVar), logging: file.Log, state: newReloadState(), failed: make(chan error, 1), stopKeys: func() {}}
	s.log = newLog(o.Log, file.Log, s.level)
	s.readiness = newReadiness(s.log)
	s.state.metrics.Watch(s.measure)
	s.state.metrics.SetBuild(o.Version, o.Commit)
	s.about = about{o.Version, o.Commit}
	s.state.console = s.newConsole()
	if s.state.audit, err = audit.Open(file.Log.Audit, o.Log, s.log); err != nil {
		return nil, err
	}
	if s.state.tracer, err = telemetry.NewTracer(o.Version, s.log); err != nil {
		return nil, err
	}
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
			s.state.release(running, 0) // the objects that were made for file alone
		}
		return err
	}
	for _, w := range file.Warnings() {
		s.log.Warn("configuration", "warning", w)
	}
	s.ensureKeys(b)
	b.file, b.digest, b.loaded = file, file.Digest(), time.Now()
	s.state.refusals.Keep(keptRefusals(file))
	for _, u := range b.state.upstreams.all() {
		u.Run(s.log)
	}
	s.state.authServer = b.authServer
	s.builder.Store(b)
	s.gate.Store(gate)
	s.state.release(b, file.Limits.DrainTimeout)
	s.state.metrics.Loaded(time.Now())
	s.state.tracer.SendToIssuers(file.Tracing.Issuers)
	return nil
}

// running returns the running configuration.
func (s *server) running() *config.File { return s.builder.Load().file }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.answersChallenge(w, r) {
		s.gate.Load().ServeHTTP(w, r)
	}
}

// serve runs the process until ctx ends or a door fails.
func (s *server) serve(ctx context.Context, o Options) error {
	go s.readiness.watch(ctx, s.dependencies)
	files := watch.New(ctx, s.log)
	s.watchFiles(ctx, files, o.Config)
	for {
		select {
		case <-o.Reload:
			s.reload(o.Config)
			s.watchFiles(ctx, files, o.Config)
		case <-files.Changes():
			if s.running().Watch && o.Config != nil && o.Config.Changed() {
				s.log.Info("the files of the configuration have changed")
				s.reload(o.Config)
				s.watchFiles(ctx, files, o.Config)
			}
		case err := <-s.failed:
			return errors.Join(err, s.stop())
		case <-ctx.Done():
			return s.stop()
		}
	}
}

// watchFiles watches the files of the last load, unless the running configuration says not to.
func (s *server) watchFiles(ctx context.Context, w *watch.Watcher, source *config.Source) {
	if source == nil || !s.running().Watch {
		w.Set(ctx, nil)
		return
	}
	w.Set(ctx, source.Files())
}

// fail makes serve return an error.
func (s *server) fail(err error) {
	select {
	case s.failed <- err:
	default: // another door has failed before
	}
}

// open opens the listeners of the configuration at the start, and accepts connections.
func (s *server) open(file *config.File) error {
	plan, err := s.planDoors(file)
	if err == nil {
		s.useDoors(plan)
	}
	return err
}

// stop closes the listeners and waits up to drain_timeout for the requests in flight.
func (s *server) stop() error {
	s.draining.Store(true)
	s.log.Info("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), s.running().Limits.DrainTimeout)
	defer cancel()
	if s.certifier != nil {
		s.drains.Go(s.certifier.Stop) // no listener answers its challenges any more
	}
	var errs []error
	for _, d := range s.doors {
		errs = append(errs, d.shutdown(ctx))
	}
	s.drains.Wait() // each has had drain_timeout, too
	s.stopKeys()
	s.state.close()
	s.state.tracer.Close()
	s.state.audit.Write(audit.Event{Event: audit.Administration, Action: audit.Stopped})
	errs = append(errs, s.state.audit.Close())
	s.log.Info("stopped")
	return errors.Join(errs...)
}
