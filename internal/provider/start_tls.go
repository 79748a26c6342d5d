package provider

import (
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http"
	"slices"
	"strings"
)

// mtlsEndpoints are the endpoints in mtls_endpoint_aliases (RFC 8705 §5).
var mtlsEndpoints = []Endpoint{Token, PushedRequest, Userinfo, Introspection, Revocation}

// StartTLS is like Start, but serves HTTPS with a certificate of a new certification authority, on two ports. The listener at URL
// doesn't request client certificates, so that a client that ignores mtls_endpoint_aliases fails to authenticate. The listener
// at MTLSURL requests a client certificate, but accepts any or none, and serves only the token, pushed authorization request,
// userinfo, introspection and revocation endpoints, which verify it.
func StartTLS(tb TB, c Config) *Provider {
	tb.Helper()
	p := New(c)
	p.server.tb, p.server.ca = tb, newTestCA()
	certificate := []tls.Certificate{p.server.ca.serverCert("localhost", net.IPv4(127, 0, 0, 1), net.IPv6loopback)}
	front := &listener{addr: "127.0.0.1:0", serve: p, tls: &tls.Config{Certificates: certificate}}
	aliases := &listener{addr: "127.0.0.1:0", serve: http.HandlerFunc(p.serveAliases),
		tls: &tls.Config{Certificates: certificate, ClientAuth: tls.RequestClientCert}}
	p.server.listeners = []*listener{front, aliases}
	p.Reopen()
	p.MTLSURL = "https://" + aliases.addr
	p.finishStart(c, "https://"+front.addr)
	return p
}

// serveAliases serves mtlsEndpoints only.
func (p *Provider) serveAliases(w http.ResponseWriter, r *http.Request) {
	e, below := strings.CutPrefix(r.URL.Path, p.path())
	if !below || !slices.Contains(mtlsEndpoints, Endpoint(e)) {
		http.NotFound(w, r)
		return
	}
	p.ServeHTTP(w, r)
}

// alias returns the URL of an endpoint at MTLSURL, or "" without StartTLS.
func (p *Provider) alias(e Endpoint) string {
	if p.MTLSURL == "" {
		return ""
	}
	return p.MTLSURL + p.path() + string(e)
}

// CAPEM returns the certificate of the authority that issued the provider's server certificate, or nil without StartTLS.
func (p *Provider) CAPEM() []byte {
	if p.server.ca == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.ca.cert.Raw})
}

// ClientCert issues a client certificate of the same authority with the subject CN=cn. It panics without StartTLS.
func (p *Provider) ClientCert(cn string) tls.Certificate { return p.server.ca.clientCert(cn) }

// ServerCert issues a certificate of the same authority for another server with this host name. It panics without StartTLS.
func (p *Provider) ServerCert(host string) tls.Certificate { return p.server.ca.serverCert(host) }
