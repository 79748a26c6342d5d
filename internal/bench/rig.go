package main

import (
	"context"
	"net"
	"os"
	"slices"

	"sallyport/internal/provider"
)

// A rig is the environment of the measurements. The proxies have a core for themselves, and only one of them is busy at a time.
// Redis and this process, with the upstream, the issuer and the clients, use the other core.
type rig struct {
	dir       string // for files; removed at the end
	proxyCore int
	restCore  int
	upstream  string // URL
	issuer    *provider.Provider
	processes []*process

	bare, bare2 *process
	gate        *process // nil if it isn't needed
	uncounted   *process // the gate without metrics; nil if it isn't needed
	binary      string   // of the gate
	redis       *process // of the gates
}

// newRig starts the processes that the cells need. The caller must close the rig, also after an error.
func newRig(ctx context.Context, selected []cell) (r *rig, err error) {
	r = new(rig)
	if r.proxyCore, r.restCore, err = cores(); err != nil {
		return r, err
	}
	if r.dir, err = os.MkdirTemp("", "sallyport-bench-"); err != nil {
		return r, err
	}
	if r.upstream, err = serve(serveUpstream); err != nil {
		return r, err
	}
	for _, p := range []**process{&r.bare, &r.bare2} {
		if *p, err = r.startBare(ctx); err != nil {
			return r, err
		}
	}
	if slices.ContainsFunc(selected, func(c cell) bool { return !c.bare }) {
		if r.gate, err = r.startGate(ctx); err != nil {
			return r, err
		}
	}
	if slices.ContainsFunc(selected, func(c cell) bool { return c.uncount }) {
		if r.uncounted, err = r.runGate(ctx, "gate without metrics", "metrics: {enabled: false}"); err != nil {
			return r, err
		}
	}
	return r, stayOn(r.restCore) // after the build, which uses all cores
}

func (r *rig) close() {
	for _, p := range r.processes {
		p.stop()
	}
	os.RemoveAll(r.dir)
}

// serve runs f in the background with a new loopback listener and returns its URL.
func serve(f func(net.Listener)) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go f(l)
	return "http://" + l.Addr().String(), nil
}

// start starts a process, which close stops, and waits until check returns nil.
func (r *rig) start(ctx context.Context, core int, p *process, check func() error) (*process, error) {
	if err := p.start(ctx, core); err != nil {
		return nil, err
	}
	r.processes = append(r.processes, p)
	return p, p.ready(ctx, check)
}

func (r *rig) startBare(ctx context.Context) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p := &process{name: "bare proxy", address: address, command: []string{self, bareRole, address, r.upstream},
		env: []string{"GOMAXPROCS=1"}}
	return r.start(ctx, r.proxyCore, p, func() error { return listening(address) })
}

func (r *rig) startRedis(ctx context.Context) (*process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(address)
	p := &process{name: "redis-server", address: address,
		command: []string{"redis-server", "--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", r.dir}}
	return r.start(ctx, r.restCore, p, func() error { return listening(address) })
}
