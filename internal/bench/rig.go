package main

import (
	"context"
	"net"
	"os"
	"slices"

	"sallyport/internal/provider"
)

// A rig is all that the measurements need. The proxies have a core for themselves, of which one at a time is busy; Redis,
// and in this process the upstream, the issuer and the load, are on the other.
type rig struct {
	dir       string // for files; removed at the end
	proxyCore int
	restCore  int
	upstream  string // URL
	issuer    *provider.Provider
	processes []*process

	bare, bare2 *process
	gate        *process // nil if no cell needs it
}

func (r *rig) secondBare() *process { return r.bare2 }
func (r *rig) theGate() *process    { return r.gate }

// newRig starts what the cells need. The caller closes it, after an error too.
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
	if slices.ContainsFunc(selected, func(c cell) bool { return c.name != "bare" }) {
		if r.gate, err = r.startGate(ctx); err != nil {
			return r, err
		}
	}
	return r, stayOn(r.restCore) // after the build, which may have all
}

func (r *rig) close() {
	for _, p := range r.processes {
		p.stop()
	}
	os.RemoveAll(r.dir)
}

// serve lets f have a loopback listener for as long as this process lives, and returns its URL.
func serve(f func(net.Listener)) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go f(l)
	return "http://" + l.Addr().String(), nil
}

// start starts a process that close ends, and waits until check finds nothing wrong.
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
	p := &process{name: "bare proxy", address: address, command: []string{self, bareRole, address, r.upstream}, env: []string{"GOMAXPROCS=1"}}
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
