package flow_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/flow"
)

// An authority issues certificates.
type authority struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// newCertificate returns a certificate that an authority has issued, or that is signed by itself.
func newCertificate(t *testing.T, name string, isCA bool, by *authority) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: isCA, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if by == nil {
		by = &authority{c, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.Certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{parsed, key}
}

var makeCaller struct {
	sync.Once
	certificate *x509.Certificate
}

// caller returns the certificate of a client.
func caller(t *testing.T) *x509.Certificate {
	makeCaller.Do(func() { makeCaller.certificate = newCertificate(t, "caller", false, nil).Certificate })
	return makeCaller.certificate
}

// thumbprint returns the thumbprint of a certificate, as in cnf.x5t#S256 (RFC 8705 §3.1).
func thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func toPEM(certificates ...*x509.Certificate) string {
	var b strings.Builder
	for _, c := range certificates {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return b.String()
}

// boundToCertificate returns the claims of a token that is bound to a certificate.
func boundToCertificate(c *x509.Certificate) map[string]any {
	return map[string]any{"cnf": map[string]any{"x5t#S256": thumbprint(c)}}
}

// TestCertificateOfTheConnection checks that a token that is bound to a certificate needs it, in a session, too.
func TestCertificateOfTheConnection(t *testing.T) {
	w, own, other := newWorld(t), caller(t), newCertificate(t, "other", false, nil).Certificate
	g := w.newGate(t, "session bearer", func(g *gate) { g.settings.DisableSession = nil })
	token := jwt(boundToCertificate(own))(g)
	ask := func(r *auth.Request, c *x509.Certificate, fromProxy bool) *auth.Request {
		r.ClientCert, r.FromProxy = c, fromProxy
		return r
	}
	bound := invalid("token_bound")
	g.expectVerdict(ask(g.bearer(token), nil, false), bound)
	g.expectVerdict(ask(g.bearer(token), other, false), bound)
	g.expectVerdict(ask(g.bearer(token), own, true), passes)
	got, res := g.judge(ask(g.bearer(token), own, false))
	if got != passes || len(res.Header["Set-Cookie"]) == 0 {
		t.Fatalf("got %+v with the header %v, expected a session", got, res.Header)
	}
	cookie := g.sessionIn(res.Header)
	for c, want := range map[*x509.Certificate]verdict{own: passes, other: bound, nil: bound} {
		g.expectVerdict(ask(g.request("GET /page", "Cookie", cookie.Name+"="+cookie.Value), c, false), want)
	}
	for _, wrong := range []any{"", 7, nil, []string{thumbprint(own)}, strings.ToUpper(thumbprint(own))} {
		token := jwt(map[string]any{"cnf": map[string]any{"x5t#S256": wrong}})(g)
		g.expectVerdict(ask(g.bearer(token), own, false), bound)
	}
}

// TestCertificateInAHeader checks each format of the header, which is read from trusted proxies alone, and then alone.
func TestCertificateInAHeader(t *testing.T) {
	w, own, other := newWorld(t), caller(t), newCertificate(t, "other", false, nil).Certificate
	bound, escaped := invalid("token_bound"), url.PathEscape(toPEM(own))
	plain := base64.StdEncoding.EncodeToString(own.Raw)
	envoy := "By=spiffe://x;Hash=aa;Cert=\"" + url.QueryEscape(toPEM(own)) + "\";Subject=\"CN=a;b,\\\"c\";URI=x"
	envoy = strings.ReplaceAll(envoy, "+", "%20")
	for _, c := range []struct {
		format, value string
		want          verdict
	}{
		{"url_encoded", escaped, passes}, {"url_encoded", strings.ReplaceAll(escaped, "+", "%2B"), passes},
		{"url_encoded", url.PathEscape(toPEM(other)), bound}, {"url_encoded", url.PathEscape(toPEM(own, other)), bound},
		{"url_encoded", plain, bound}, {"url_encoded", "%", bound}, {"url_encoded", "", bound},
		{"base64_encoded", plain, passes}, {"base64_encoded", base64.StdEncoding.EncodeToString([]byte(toPEM(own))), passes},
		{"base64_encoded", ":" + plain + ":", bound}, {"base64_encoded", plain[:100], bound},
		{"rfc9440", ":" + plain + ":", passes}, {"rfc9440", plain, bound}, {"rfc9440", ":", bound}, {"rfc9440", "::", bound},
		{"rfc9440", ":" + plain + ":, :" + plain + ":", bound},
		{"xfcc", envoy, passes}, {"xfcc", envoy + ",By=x", bound}, {"xfcc", "By=x," + envoy, bound}, {"xfcc", envoy + ";" + envoy, bound},
		{"xfcc", envoy + ";X=\"", bound}, {"xfcc", "Hash=" + thumbprint(own), bound},
		{"xfcc", "Subject=\";Cert=" + escaped + "\"", bound},
	} {
		g := w.newGate(t, "bearer", func(g *gate) {
			g.settings.MTLSFromHeader = &flow.CertificateHeader{Name: "x-cert", Format: c.format}
		})
		token := jwt(boundToCertificate(own))(g)
		ask := func(fromProxy bool, cert *x509.Certificate, header ...string) verdict {
			r := g.request("GET /page", append([]string{"Authorization", "Bearer " + token}, header...)...)
			r.FromProxy, r.ClientCert = fromProxy, cert
			got, _ := g.judge(r)
			return got
		}
		if got := ask(true, nil, "X-Cert", c.value); got != c.want {
			t.Errorf("%s %.80s: got %+v, expected %+v", c.format, c.value, got, c.want)
		}
		for name, got := range map[string]verdict{
			"not of a proxy":            ask(false, nil, "X-Cert", c.value),
			"twice":                     ask(true, nil, "X-Cert", c.value, "X-Cert", c.value),
			"the proxy's own":           ask(true, own),
			"the proxy's own, no value": ask(true, own, "X-Cert", ""),
		} {
			if got != bound {
				t.Errorf("%s %.80s: %s: got %+v", c.format, c.value, name, got)
			}
		}
		if got := ask(false, own, "X-Cert", "ignored"); got != passes {
			t.Errorf("of a direct connection: got %+v", got)
		}
	}
}

// TestAuthoritiesOfCallers checks ca_file: it has roots, or with allow_partial_chain other authorities, too.
func TestAuthoritiesOfCallers(t *testing.T) {
	w, root := newWorld(t), newCertificate(t, "root", true, nil)
	middle, foreign := newCertificate(t, "middle", true, root), newCertificate(t, "foreign", true, nil)
	for _, c := range []struct {
		authorities []*x509.Certificate
		partial     bool
		leaf        *authority
		want        verdict
	}{
		{[]*x509.Certificate{root.Certificate}, false, newCertificate(t, "a", false, root), passes},
		{[]*x509.Certificate{root.Certificate}, false, newCertificate(t, "a", false, foreign), invalid("token_bound")},
		{[]*x509.Certificate{root.Certificate}, false, newCertificate(t, "a", false, nil), invalid("token_bound")},
		{[]*x509.Certificate{root.Certificate}, false, newCertificate(t, "a", false, middle), invalid("token_bound")},
		{[]*x509.Certificate{foreign.Certificate, root.Certificate}, false, newCertificate(t, "a", false, root), passes},
		{[]*x509.Certificate{middle.Certificate}, true, newCertificate(t, "a", false, middle), passes},
	} {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, []byte(toPEM(c.authorities...)), 0o600); err != nil {
			t.Fatal(err)
		}
		g := w.newGate(t, "bearer", func(g *gate) {
			g.settings.MTLSFromHeader = &flow.CertificateHeader{
				Name: "X-Cert", Format: "rfc9440", CAFile: file, AllowPartialChain: c.partial,
			}
		})
		token := jwt(boundToCertificate(c.leaf.Certificate))(g)
		r := g.request("GET /page", "Authorization", "Bearer "+token,
			"X-Cert", ":"+base64.StdEncoding.EncodeToString(c.leaf.Raw)+":")
		r.FromProxy = true
		if got, _ := g.judge(r); got != c.want {
			t.Errorf("%s: got %+v, expected %+v", c.leaf.Issuer, got, c.want)
		}
	}
}
