package app

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxied sends a request after some bytes, and returns the status and the body: the address of the client for the upstream.
func proxied(t *testing.T, address string, overTLS bool, before []byte) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	c.Write(before)
	if overTLS {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // the certificate of a test
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nConnection: close\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "no response"
	}
	body, _ := io.ReadAll(res.Body)
	return fmt.Sprint(res.StatusCode, " ", string(body))
}

// TestProxyProtocol checks that trusted proxies, and only they, say with the PROXY protocol where a client is, and that they must.
func TestProxyProtocol(t *testing.T) {
	version2, err := proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 8), Port: 4711},
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}).Format()
	if err != nil {
		t.Fatal(err)
	}
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}).Format()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeCertificate(t, dir)
	plain, secure := freeAddress(), freeAddress()
	listen := fmt.Sprintf("admin: {listen: off}\nlisten: [{address: %s, proxy_protocol: true}, {address: %s, proxy_protocol: true,\n"+
		"  tls: {cert_file: %s/cert.pem, key_file: %[3]s/key.pem}}]\n", plain, secure, dir)
	r := newReloading(t, listen+"trusted_proxies: [127.0.0.1]")
	const version1 = "PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n"
	for _, c := range []struct{ name, before, want string }{
		{"version 1", version1, "200 203.0.113.7"},
		{"version 2", string(version2), "200 203.0.113.8"},
		{"version 1, IPv6", "PROXY TCP6 2001:db8::1 ::1 4711 80\r\n", "200 2001:db8::1"},
		{"the proxy itself", string(local), "200 9.9.9.9"}, // whose forwarded headers count
		{"no header", "", "no response"},
		{"two headers", version1 + version1, "400 400 Bad Request"},
		{"half a header", "PROXY TCP4 203.0.113.7\r\n", "no response"},
		{"a header that is too long", "PROXY TCP4 " + fmt.Sprintf("%0200d", 1) + "\r\n", "no response"},
	} {
		if got := proxied(t, plain, false, []byte(c.before)); got != c.want {
			t.Errorf("%s: %s, expected %s", c.name, got, c.want)
		}
	}
	if got := proxied(t, secure, true, []byte(version1)); got != "200 203.0.113.7" {
		t.Errorf("over TLS: %s", got)
	}
	r.reload(listen + "trusted_proxies: [10.0.0.1]")
	if got := proxied(t, plain, false, []byte(version1)); got != "400 400 Bad Request" {
		t.Errorf("from an address that isn't trusted: %s", got)
	}
	if got := proxied(t, plain, false, nil); got != "200 127.0.0.1" {
		t.Errorf("from an address that isn't trusted, without the header: %s", got)
	}
}
