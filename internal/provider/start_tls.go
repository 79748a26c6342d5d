package provider

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
)

// mtlsEndpoints are those with an alias for clients with a certificate (RFC 8705 §5).
var mtlsEndpoints = []Endpoint{Token, Userinfo, Introspection, Revocation}

// StartTLS is Start over https, with certificates of an authority made for it. It listens twice: URL never asks for a client
// certificate, so that a client that ignores mtls_endpoint_aliases comes without one and fails; MTLSURL asks for one and
// serves nothing but the aliases: the token, userinfo, introspection and revocation endpoints. It takes any certificate, or
// none, and leaves the judgement to the endpoint.
func StartTLS(tb TB, c Config) *Provider {
	tb.Helper()
	p := New(c)
	p.server.tb, p.server.ca = tb, newAuthority()
	certificate := []tls.Certificate{p.server.ca.server()}
	front := &door{addr: "127.0.0.1:0", serve: p, tls: &tls.Config{Certificates: certificate}}
	aliases := &door{addr: "127.0.0.1:0", serve: http.HandlerFunc(p.serveAliases),
		tls: &tls.Config{Certificates: certificate, ClientAuth: tls.RequestClientCert}}
	p.server.doors = []*door{front, aliases}
	p.Reopen()
	p.MTLSURL = "https://" + aliases.addr
	p.started(c, "https://"+front.addr)
	return p
}

func (p *Provider) serveAliases(w http.ResponseWriter, r *http.Request) {
	e, below := strings.CutPrefix(r.URL.Path, p.path())
	if !below || !slices.Contains(mtlsEndpoints, Endpoint(e)) {
		http.NotFound(w, r)
		return
	}
	p.ServeHTTP(w, r)
}

// alias is the URL of an endpoint for clients with a certificate; "" without TLS.
func (p *Provider) alias(e Endpoint) string {
	if p.MTLSURL == "" {
		return ""
	}
	return p.MTLSURL + p.path() + string(e)
}

// CAPEM is the certificate of the authority that StartTLS made: who trusts it, trusts the provider's https. nil without TLS.
func (p *Provider) CAPEM() []byte {
	if p.server.ca == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.ca.cert.Raw})
}

// ClientCert makes a client certificate of that authority whose subject is CN=cn. It panics without TLS.
func (p *Provider) ClientCert(cn string) tls.Certificate { return p.server.ca.client(cn) }

// ServerCert makes a certificate of that authority for another server, which its clients call by that name. It panics without
// TLS.
func (p *Provider) ServerCert(host string) tls.Certificate { return p.server.ca.named(host) }
