package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

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

	addHost(t, p, pair, first, second)

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

// addHost adds a host to two replicas by a reload, while the ACME server's connections go to each of them in turn.
func addHost(t *testing.T, p *pebble, pair *tls.Certificate, replicas ...*acmeGate) {
	t.Helper()
	p.point([4]byte{127, 0, 0, 1}, [4]byte{127, 0, 0, 2}) // pebble validates three times
	for _, g := range replicas {
		g.write(t, "a.example.test", "b.example.test", "c.example.test")
		g.hangUp(t)
	}
	var serials []string
	for _, g := range replicas {
		mustAwait(t, 20*time.Second, "a certificate for the new host", func() bool {
			_, err := g.certificate(p, "c.example.test", pair)
			return err == nil
		})
		serials = append(serials, g.serial(t, p, "c.example.test", pair))
	}
	if serials[0] != serials[1] || p.orders() != 3 {
		t.Errorf("the replicas have the certificates %q; %d orders, expected 3", serials, p.orders())
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
	g.serial(t, p, "a.example.test", nil) // awaits one
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
		if !strings.HasSuffix(name, "+failure") { // there while an order is under way
			files++
		}
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
	const failed = "the order of a certificate failed"
	mustAwait(t, 30*time.Second, "the failure", func() bool { return strings.Contains(g.log.String(), failed) })
	line := lineWith(g.log.String(), failed)
	for _, want := range []string{
		`"host":"a.example.test"`, `"problem":"urn:ietf:params:acme:error:`, "Failed to connect to 127.0.0.3:", `"next_order":"2`,
	} {
		if !strings.Contains(line, want) {
			t.Errorf("the log doesn't have %s: %s", want, line)
		}
	}
	const why = "certificates acme: there is no valid certificate for a.example.test: the challenge tls-alpn-01: "
	mustAwait(t, 30*time.Second, "the failure in /readyz", func() bool { return strings.Contains(g.readyz(), why) })
	out, err := exec.Command(binary, "check", "-online", "-c", g.file).CombinedOutput()
	want := "acme " + p.directory + "\n  ok       it answers; its terms of service: data:text/plain,"
	if err != nil || !strings.Contains(string(out), want) {
		t.Errorf("check -online: %v, expected %s in\n%s", err, want, out)
	}
	g.terminate(t)
	p.point([4]byte{127, 0, 0, 1})
	if g.proc, err = startProcess(g.log, nil, binary, "run", "-c", g.file); err != nil {
		t.Fatal(err)
	}
	mustAwait(t, 20*time.Second, "the failure before the restart", func() bool { return strings.Contains(g.readyz(), why) })
	if n := p.orders(); n != 1 {
		t.Errorf("%d orders, expected 1", n)
	}
}
