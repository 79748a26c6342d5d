package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/config"
)

// noServer is the directory of an ACME server that isn't there: the certificates in the folder must do.
const noServer = "https://127.0.0.1:1/directory"

// storeCertificate writes the certificate of a host into a folder of certificates by ACME.
func storeCertificate(t *testing.T, folder, host string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(60 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(noServer))
	dir := filepath.Join(folder, hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(filepath.Join(dir, host), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return template
}

// acmeListen returns the settings of a listener with certificates by ACME from a folder.
func acmeListen(address, folder, more, hosts string) string {
	return fmt.Sprintf("admin: {listen: off}\ntrusted_proxies: [127.0.0.1]\nlisten: {address: %s, proxy_protocol: true, tls: {%s"+
		"acme: {directory: %q, agree_tos: true, folder: %s, hosts: [%s]}}}", address, more, noServer, folder, hosts)
}

// dialAs returns the names in the certificate that a listener behind a TCP proxy shows for a name, or the error.
func dialAs(address, name string, client *tls.Config) string {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "PROXY TCP4 203.0.113.7 127.0.0.1 4711 443\r\n")
	client.ServerName, client.InsecureSkipVerify = name, true // the certificate of a test
	conn := tls.Client(c, client)
	if err := conn.Handshake(); err != nil {
		return err.Error()
	}
	return strings.Join(conn.ConnectionState().PeerCertificates[0].DNSNames, ", ")
}

// An acmeRig is a gate behind a TCP proxy with certificates by ACME in a folder, whose listener a test changes.
type acmeRig struct {
	*reloading
	dir, folder, address string
}

// newACMERig starts the gate with certificates for a.example and b.example, and with a.example as its host.
func newACMERig(t *testing.T) *acmeRig {
	t.Helper()
	r := &acmeRig{dir: t.TempDir(), address: freeAddress()}
	r.folder = filepath.Join(r.dir, "acme")
	for _, host := range []string{"a.example", "b.example"} {
		storeCertificate(t, r.folder, host)
	}
	r.reloading = newReloading(t, acmeListen(r.address, r.folder, "", "a.example"))
	return r
}

// serves checks the names in the certificate for a name, or the alert.
func (r *acmeRig) serves(name, want string, client *tls.Config) {
	r.t.Helper()
	var got string
	if !awaited(func() bool { got = dialAs(r.address, name, client); return strings.Contains(got, want) }) {
		r.t.Errorf("%q: %s, expected %s", name, got, want)
	}
}

// TestStoredCertificatesByACME checks that the certificates in the folder are served without the ACME server, also behind the PROXY
// protocol, and that reloads add and remove hosts, and go back to a certificate in files.
func TestStoredCertificatesByACME(t *testing.T) {
	r := newACMERig(t)
	writeCertificate(t, r.dir)
	const refused = "unrecognized name"
	r.serves("a.example", "a.example", &tls.Config{})
	r.serves("b.example", refused, &tls.Config{})
	r.reload(acmeListen(r.address, r.folder, "", "a.example, b.example"))
	if got := dialAs(r.address, "a.example", &tls.Config{}); got != "a.example" {
		t.Errorf("right after a reload: %s", got)
	}
	r.serves("b.example", "b.example", &tls.Config{})
	r.reload(acmeListen(r.address, r.folder, "", "b.example"))
	r.serves("a.example", refused, &tls.Config{})
	r.serves("b.example", "b.example", &tls.Config{})
	r.reload(fmt.Sprintf("trusted_proxies: [127.0.0.1]\nadmin: {listen: off}\nlisten: {address: %s, proxy_protocol: true, "+
		"tls: {cert_file: %s/cert.pem, key_file: %[2]s/key.pem}}", r.address, r.dir))
	if got := dialAs(r.address, "z.example", &tls.Config{}); got != "" { // that certificate is for an address
		t.Errorf("with the certificate of files: %s", got)
	}
	if strings.Contains(r.log.String(), "is ordered") {
		t.Errorf("a certificate is ordered:\n%s", &r.log)
	}
}

// TestListenersWithACME checks that versions, cipher suites and certificates of clients hold for a listener with certificates by ACME.
func TestListenersWithACME(t *testing.T) {
	r := newACMERig(t)
	r.reload(acmeListen(r.address, r.folder, `min_version: "1.3", `, "b.example"))
	r.serves("b.example", "b.example", &tls.Config{})
	r.serves("b.example", "protocol version", &tls.Config{MaxVersion: tls.VersionTLS12})
	r.reload(acmeListen(r.address, r.folder, "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256], ", "b.example"))
	for suite, want := range map[uint16]string{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "b.example", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "handshake failure",
	} {
		r.serves("b.example", want, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}})
	}
	r.reload(acmeListen(r.address, r.folder, "client_auth: require, ", "b.example"))
	writeCertificate(t, r.dir)
	pair, err := tls.LoadX509KeyPair(r.dir+"/cert.pem", r.dir+"/key.pem")
	if err != nil {
		t.Fatal(err)
	}
	r.serves("b.example", "handshake failure", &tls.Config{MaxVersion: tls.VersionTLS12}) // with TLS 1.3 the alert comes later
	r.serves("b.example", "b.example", &tls.Config{MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}})
}

// TestCheckNamesWhatACMEOrders checks what sallyport check says of an acme block.
func TestCheckNamesWhatACMEOrders(t *testing.T) {
	name := filepath.Join(t.TempDir(), "gate.yaml")
	text := "listen:\n  - {address: ':8443', tls: {acme: {agree_tos: true, folder: acme}}}\n  - ':8080'\n" +
		"routes: [{route: {upstream: 'http://a', hosts: [b.example, a.example]}, rules: [{auth: off}]}]\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Check(config.FromFile(name), &out); err != nil {
		t.Fatal(err)
	}
	want := "note: acme: the gate orders a certificate for each of a.example, b.example from " +
		"https://acme-v02.api.letsencrypt.org/directory by tls-alpn-01, unless the folder " + filepath.Join(filepath.Dir(name), "acme") +
		" has a valid one; this check orders none\n"
	if !strings.Contains(out.String(), want) {
		t.Errorf("%s, expected %s", &out, want)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(name), "acme")); !os.IsNotExist(err) {
		t.Errorf("the check made the folder: %v", err)
	}
}
