package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// An acmeGate is a gate whose listener gets its certificates from a pebble.
type acmeGate struct {
	*gate
	address string
	text    string // the configuration without the hosts of its route
}

// startACMEGate starts a gate. listen has further listeners, more are further settings of its listener's TLS, and acme those of its acme
// block. It is ready when it has its certificates, or after ten seconds.
func startACMEGate(t *testing.T, p *pebble, address, listen, more, acme string, hosts ...string) *acmeGate {
	t.Helper()
	up := startUpstream(t)
	admin := freeport.Port()
	g := &acmeGate{address: address, gate: &gate{
		admin: urlOf(admin), file: filepath.Join(t.TempDir(), "sallyport.yaml"), log: &logBuffer{}, planted: map[string]bool{},
	}}
	g.text = fmt.Sprintf("admin: {listen: 127.0.0.1:%d}\nlog: {format: json, level: debug}\nlisten:\n%s  - address: %s\n    tls:\n%s"+
		"      acme:\n        directory: %s\n        ca_file: %s\n        agree_tos: true\n        email: ops@example.com\n%s"+
		"routes:\n  - route: {upstream: %q, hosts: [HOSTS]}\n    rules: [{auth: off}]\n",
		admin, listen, address, more, p.directory, p.caFile, acme, up.url)
	g.registerSecrets(sessionSecret)
	g.write(t, hosts...)
	t.Cleanup(func() { g.end(t, config{}) })
	g.start(t)
	return g
}

// write writes the configuration with a list of hosts.
func (g *acmeGate) write(t *testing.T, hosts ...string) {
	t.Helper()
	text := strings.Replace(g.text, "HOSTS", strings.Join(hosts, ", "), 1)
	if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// certificate makes a request for a host, and returns the certificate of the connection.
func (g *acmeGate) certificate(p *pebble, host string, pair *tls.Certificate) (*x509.Certificate, error) {
	tr := transportTrusting(p.roots)
	tr.TLSClientConfig.ServerName = host
	if pair != nil {
		tr.TLSClientConfig.Certificates = []tls.Certificate{*pair}
	}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequest(http.MethodGet, "https://"+g.address+"/", nil)
	if err != nil {
		return nil, err
	}
	r.Host = host
	res, err := (&http.Client{Transport: tr, Timeout: 10 * time.Second}).Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
		return nil, fmt.Errorf("%s %s", res.Proto, res.Status)
	}
	return res.TLS.PeerCertificates[0], nil
}

// serial returns the serial number of the certificate for a host.
func (g *acmeGate) serial(t *testing.T, p *pebble, host string, pair *tls.Certificate) string {
	t.Helper()
	var serial string
	mustAwait(t, 30*time.Second, "a certificate for "+host+" at "+g.address, func() bool { // the gate is ready before it has all
		c, err := g.certificate(p, host, pair)
		if err == nil {
			serial = c.SerialNumber.String()
		}
		return err == nil
	})
	return serial
}

// transportTrusting returns HTTP connections that trust the CAs of a pool.
func transportTrusting(pool *x509.CertPool) *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
}

// checkMetrics checks that the metrics have the expiry of a host's certificate.
func (g *acmeGate) checkMetrics(t *testing.T, host string) {
	t.Helper()
	res, err := http.Get(g.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	want := fmt.Sprintf(`sallyport_certificate_expiry_timestamp_seconds{name=%q,use="listener"}`, host)
	if err != nil || !strings.Contains(string(body), want) {
		t.Errorf("the metrics don't have %s", want)
	}
}

// readyz returns the body of /readyz.
func (g *acmeGate) readyz() string {
	res, err := http.Get(g.admin + "/readyz")
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}
