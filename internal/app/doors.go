package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"

	"sallyport/internal/config"
	"sallyport/internal/forwardauth"
)

// A doorPlan is how the doors of a configuration follow from those that are open. It is made before the configuration runs, because a
// listener that can't be opened is a reason not to run it.
type doorPlan struct {
	wanted []plannedDoor
	closed []*door // that the configuration doesn't have
}

// A plannedDoor is a door that a configuration has.
type plannedDoor struct {
	doorSettings
	tls    *tls.Config // nil: without TLS
	hosts  []string    // of certificates by ACME; nil: the certificate is in files
	open   *door       // with the same address; nil: there is none
	socket *net.TCPListener
}

// planDoors opens the sockets that a configuration has in addition, and reads its certificates.
func (s *server) planDoors(file *config.File) (plan *doorPlan, err error) {
	plan = &doorPlan{closed: slices.Clone(s.doors)}
	defer func() {
		if err != nil {
			plan.abandon()
		}
	}()
	for i, settings := range newDoorSettings(file) {
		p := plannedDoor{doorSettings: settings}
		if settings.overTLS {
			if p.tls, err = newTLS(file.Listen[i].TLS); err != nil {
				return plan, err
			}
			p.hosts = acmeHosts(file.Listen[i].TLS)
		}
		if p.open = plan.takeOpen(settings); p.open != nil {
			p.socket = p.open.socket
		} else if p.socket, err = s.listen(settings); err != nil {
			return plan, err
		}
		plan.wanted = append(plan.wanted, p)
	}
	return plan, nil
}

// takeOpen takes the open door of an address out of closed.
func (p *doorPlan) takeOpen(settings doorSettings) *door {
	n := slices.IndexFunc(p.closed, func(d *door) bool { return d.address == settings.address })
	if n < 0 {
		return nil
	}
	d := p.closed[n]
	p.closed = slices.Delete(p.closed, n, n+1)
	return d
}

// abandon closes the sockets that were opened for the plan.
func (p *doorPlan) abandon() {
	for _, w := range p.wanted {
		if w.open == nil {
			w.socket.Close()
		}
	}
}

func (s *server) listen(d doorSettings) (*net.TCPListener, error) {
	l, err := net.Listen("tcp", d.address)
	if err != nil {
		return nil, s.listenError(d, err)
	}
	return l.(*net.TCPListener), nil
}

// useDoors carries a plan out. Requests in flight at doors and servers that end get limits.drain_timeout.
func (s *server) useDoors(p *doorPlan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.useCertifier()
	var doors []*door
	for _, w := range p.wanted {
		if w.hosts != nil {
			w.tls.GetConfigForClient = s.certifier.ForClients(w.tls, w.hosts)
		}
		d := w.open
		switch {
		case d == nil:
			d = &door{socket: w.socket}
			s.serveDoor(d, w)
		case d.doorSettings != w.doorSettings:
			old := d.handOver()
			s.drain(func(ctx context.Context) error { return shutdown(ctx, w.name, old) })
			s.serveDoor(d, w)
		case w.tls != nil:
			d.tls.Store(w.tls)
		}
		doors = append(doors, d)
	}
	for _, d := range p.closed {
		s.log.Info("not listening any more", "for", d.name, "address", d.socket.Addr().String())
		s.drain(d.shutdown)
	}
	s.doors = doors
}

// serveDoor gives a door a new HTTP server, which accepts connections at once.
func (s *server) serveDoor(d *door, w plannedDoor) {
	d.doorSettings, d.tls = w.doorSettings, nil
	if w.tls != nil {
		d.tls = new(atomic.Pointer[tls.Config])
		d.tls.Store(w.tls)
	}
	d.http, d.accept = d.newHTTP(s.handlerOf(d), s.log), &acceptor{TCPListener: d.socket}
	var l net.Listener = d.accept
	if d.proxyProtocol {
		l = proxiedListener(l, d.readHeaderTimeout, s.running)
	}
	d.start(l, s.fail)
	s.log.Info("listening", "for", d.name, "address", d.socket.Addr().String(), "tls", d.tls != nil)
}

func (s *server) handlerOf(d *door) http.Handler {
	switch {
	case d.name == "admin":
		return s.admin()
	case d.forwardAuth.Proxy != "":
		return forwardauth.New(forwardauth.Config{
			Settings: d.forwardAuth, Gate: s.gate.Load, Log: s.log,
			Trusts: func(a netip.Addr) bool { return trusts(s.running(), a) },
		})
	}
	return s
}

// drain ends an HTTP server in the background.
func (s *server) drain(end func(context.Context) error) {
	limit := s.running().Limits.DrainTimeout
	s.drains.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := end(ctx); err != nil {
			s.log.Warn("a listener ended with a reload", "error", err)
		}
	})
}

// listenError returns the error for an address that can't be listened on. It names the setting, and what to write or do.
func (s *server) listenError(d doorSettings, err error) error {
	key, other := "listen", "another address"
	if d.name == "admin" {
		key, other = "admin.listen", "another address, or off"
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && s.hasPort(d.address):
		return fmt.Errorf("%s: this process itself listens on the port of %s: restart for that, or write another port", key, d.address)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %s is in use by another process, perhaps another sallyport: stop it, or write %s", key, d.address, other)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: this user may not listen on %s: write a port above 1023, or grant CAP_NET_BIND_SERVICE", key, d.address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: %s isn't an address of this machine: write one of its addresses, or :PORT for all", key, d.address)
	}
	return fmt.Errorf("%s: %w", key, err)
}

// hasPort reports whether an open door has the port of an address.
func (s *server) hasPort(address string) bool {
	_, port, _ := net.SplitHostPort(address)
	return slices.ContainsFunc(s.doors, func(d *door) bool {
		_, taken, _ := net.SplitHostPort(d.socket.Addr().String())
		return taken == port
	})
}
