package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
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

// startACMEGate starts a gate. more are further settings of its listener's TLS, and acme those of its acme block. It is ready when it has its
// certificates, or after ten seconds.
func startACMEGate(t *testing.T, p *pebble, address, listen, more, acme string, hosts ...string) *acmeGate {
	t.Helper()
	up := startUpstream(t)
	admin := freeport.Port()
	g := &acmeGate{address: address, gate: &gate{
		admin: urlOf(admin), file: filepath.Join(t.TempDir(), "sallyport.yaml"), log: &logBuffer{}, planted: map[string]bool{},
	}}
	g.text = fmt.Sprintf("admin: {listen: 127.0.0.1:%d}\nlog: {format: json, level: debug}\nlisten:\n%s"+
		"  - address: %s\n    tls:\n%s      acme:\n        directory: %s\n        ca_file: %s\n        agree_tos: true\n        email: ops@example.com\n%s"+
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
	c, err := g.certificate(p, host, pair)
	if err != nil {
		t.Fatalf("%s at %s: %v", host, g.address, err)
	}
	return c.SerialNumber.String()
}

// transportTrusting returns HTTP connections that trust the CAs of a pool.
func transportTrusting(pool *x509.CertPool) *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
}

// TestCertificatesByACME checks that a gate with client certificates and TLS 1.3 obtains a certificate for each host of its routes, that a
// second replica uses them without an order, that both answer the challenge of a host that a reload adds, that a restart orders nothing,
// and that other names are refused.
func TestCertificatesByACME(t *testing.T) {
	t.Parallel()
	redis, port := startRedis(t), freeport.Port()
	p := startPebble(t, 24*time.Hour, port, freeport.Port())
	_, _, pair := mustClientCert(t, "john")
	more := fmt.Sprintf("      min_version: \"1.3\"\n      client_auth: require_and_verify\n      client_ca_file: %s\n", testCA.file)
	acme := fmt.Sprintf("        storage: redis\n        secret: %s\n        redis: {port: %d}\n", sessionSecret, redis.port)
	start := func(ip string) *acmeGate {
		return startACMEGate(t, p, fmt.Sprintf("%s:%d", ip, port), "", more, acme, "a.example.test", "b.example.test")
	}
	first := start("127.0.0.1")
	a := first.serial(t, p, "a.example.test", pair)
	if b := first.serial(t, p, "b.example.test", pair); a == b {
		t.Error("two hosts have one certificate")
	}
	if _, err := first.certificate(p, "a.example.test", nil); err == nil {
		t.Error("a client without a certificate is accepted")
	}
	second := start("127.0.0.2")
	if got := second.serial(t, p, "a.example.test", pair); got != a || p.orders() != 2 {
		t.Errorf("the second replica has the certificate %s, expected %s; %d orders, expected 2", got, a, p.orders())
	}

	p.point([4]byte{127, 0, 0, 1}, [4]byte{127, 0, 0, 2}) // pebble validates three times
	for _, g := range []*acmeGate{first, second} {
		g.write(t, "a.example.test", "b.example.test", "c.example.test")
		g.hangUp(t)
	}
	var serials []string
	for _, g := range []*acmeGate{first, second} {
		mustAwait(t, 20*time.Second, "a certificate for the new host", func() bool {
			_, err := g.certificate(p, "c.example.test", pair)
			return err == nil
		})
		serials = append(serials, g.serial(t, p, "c.example.test", pair))
	}
	if serials[0] != serials[1] || p.orders() != 3 {
		t.Errorf("the replicas have the certificates %q; %d orders, expected 3", serials, p.orders())
	}

	first.terminate(t)
	first.start(t)
	if got := first.serial(t, p, "a.example.test", pair); got != a {
		t.Errorf("after a restart the certificate is %s, expected %s", got, a)
	}
	for _, name := range []string{"d.example.test", "x.a.example.test", ""} {
		_, err := tls.Dial("tcp", first.address, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("a handshake for %q: %v", name, err)
		}
	}
	if p.orders() != 3 {
		t.Errorf("%d orders, expected 3", p.orders())
	}
	first.checkMetrics(t, "a.example.test")
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

// TestRenewalByACME checks that certificates with RSA keys are obtained by http-01, renewed ahead without a handshake that fails, and kept
// in files that others can't read.
func TestRenewalByACME(t *testing.T) {
	t.Parallel()
	port, httpPort, folder := freeport.Port(), freeport.Port(), filepath.Join(t.TempDir(), "certificates")
	p := startPebble(t, 24*time.Second, freeport.Port(), httpPort)
	listen := fmt.Sprintf("  - 127.0.0.1:%d\n", httpPort)
	acme := fmt.Sprintf("        challenge: http-01\n        key_type: rsa\n        renew_before: 1h\n        folder: %s\n", folder)
	g := startACMEGate(t, p, fmt.Sprintf("127.0.0.1:%d", port), listen, "", acme, "a.example.test")
	first, err := g.certificate(p, "a.example.test", nil)
	if err != nil {
		t.Fatal(err)
	}
	if first.PublicKeyAlgorithm != x509.RSA {
		t.Errorf("the key is of type %v", first.PublicKeyAlgorithm)
	}
	mustAwait(t, 30*time.Second, "another certificate", func() bool {
		next, err := g.certificate(p, "a.example.test", nil)
		if err != nil {
			t.Fatalf("during the renewal: %v", err)
		}
		return next.SerialNumber.Cmp(first.SerialNumber) != 0
	})
	if left := time.Until(first.NotAfter); left <= 0 || p.orders() < 2 {
		t.Errorf("it was renewed %v before it expired, by %d orders", left, p.orders())
	}
	files := 0
	err = filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", name, info.Mode())
		}
		files++
		return err
	})
	if err != nil || files != 4 { // the folder, that of the ACME server, the account's key, the certificate
		t.Errorf("%d files and folders, %v", files, err)
	}
}

// TestAnOrderThatFails checks that a host that leads elsewhere is ordered once in the first minutes, whatever clients do, that the log has
// the server's reason, and that the gate is ready all the same.
func TestAnOrderThatFails(t *testing.T) {
	t.Parallel()
	port := freeport.Port()
	p := startPebble(t, time.Hour, port, freeport.Port())
	p.point([4]byte{127, 0, 0, 3})
	acme := fmt.Sprintf("        folder: %s\n", filepath.Join(t.TempDir(), "certificates"))
	g := startACMEGate(t, p, fmt.Sprintf("127.0.0.1:%d", port), "", "", acme, "a.example.test")
	for range 20 {
		if _, err := g.certificate(p, "a.example.test", nil); err == nil {
			t.Fatal("there is a certificate")
		}
	}
	line := lineWith(g.log.String(), "the order of a certificate failed")
	for _, want := range []string{`"host":"a.example.test"`, `"problem":"urn:ietf:params:acme:error:`, "Failed to connect to 127.0.0.3:", `"next_order":"2`} {
		if !strings.Contains(line, want) {
			t.Errorf("the log doesn't have %s: %s", want, line)
		}
	}
	const why = "certificates acme: there is no valid certificate for a.example.test: the challenge tls-alpn-01: "
	if body := g.readyz(); !strings.Contains(body, why) {
		t.Errorf("/readyz says %s", body)
	}
	g.terminate(t)
	p.point([4]byte{127, 0, 0, 1})
	var err error
	if g.proc, err = startProcess(g.log, nil, binary, "run", "-c", g.file); err != nil {
		t.Fatal(err)
	}
	mustAwait(t, 20*time.Second, "the failure before the restart", func() bool { return strings.Contains(g.readyz(), why) })
	if n := p.orders(); n != 1 {
		t.Errorf("%d orders, expected 1", n)
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
