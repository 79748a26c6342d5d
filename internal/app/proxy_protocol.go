package app

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pires/go-proxyproto"

	"sallyport/internal/config"
)

// A proxiedListener accepts connections that trusted proxies begin with a header of the PROXY protocol (version 1 or 2). Their remote
// address is then the client's in that header. A connection of a trusted proxy without the header fails. From any other address the
// header isn't read, so that its bytes are an invalid request.
func proxiedListener(l net.Listener, headerTimeout time.Duration, running func() *config.File) net.Listener {
	return &closeWriting{&proxyproto.Listener{
		Listener: l, ReadHeaderTimeout: headerTimeout,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if peer, err := netip.ParseAddrPort(o.Upstream.String()); err == nil && trusts(running(), peer.Addr().Unmap()) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.SKIP, nil
		},
	}}
}

// trusts reports whether trusted_proxies has an address.
func trusts(file *config.File, a netip.Addr) bool {
	return slices.ContainsFunc(file.TrustedProxies, func(p config.Prefix) bool { return p.Contains(a) })
}

// A closeWriting listener's connections can close their side, as those of package net: net/http does so after it has refused a body,
// because a reset could lose the response.
type closeWriting struct{ net.Listener }

func (l *closeWriting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if p, ok := c.(*proxyproto.Conn); ok {
		return &closeWriter{p}, err
	}
	return c, err
}

type closeWriter struct{ *proxyproto.Conn }

func (c *closeWriter) CloseWrite() error {
	if tcp, ok := c.TCPConn(); ok {
		return tcp.CloseWrite()
	}
	return nil
}
