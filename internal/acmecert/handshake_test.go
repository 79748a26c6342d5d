package acmecert

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/acme"
)

// shake makes a handshake with a listener and returns the client's view of it.
func shake(t *testing.T, forClients func(*tls.ClientHelloInfo) (*tls.Config, error), client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	a, b := net.Pipe()
	server := tls.Server(b, &tls.Config{GetConfigForClient: forClients})
	done := make(chan struct{})
	go func() { defer close(done); server.Handshake(); b.Close() }()
	client.InsecureSkipVerify = true // the certificates of the test are self-signed
	conn := tls.Client(a, client)
	err := conn.Handshake()
	state := conn.ConnectionState()
	a.Close()
	<-done
	return state, err
}

// TestHandshakes checks which names get a certificate, and that no handshake asks the store or orders.
func TestHandshakes(t *testing.T) {
	store, a := newMemory(), &authority{life: 90 * day}
	c, _ := newReplica(t, store, a)
	c.hosts = map[string]held{
		"a.example": {pair: mustCertify(t, "a.example", 1, time.Now(), day)}, "new.example": {},
		"other.example": {pair: mustCertify(t, "other.example", 2, time.Now(), day)}, // of another listener
	}
	base := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	listener := c.ForClients(base, []string{"a.example", "new.example"})
	const unrecognized, internal = "tls: unrecognized name", "tls: internal error"
	for _, test := range []struct{ name, alert string }{
		{"a.example", ""}, {"A.EXAMPLE", ""}, {"", unrecognized}, {"b.example", unrecognized}, {"x.a.example", unrecognized},
		{"example", unrecognized}, {"other.example", unrecognized}, {"new.example", internal},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			state, err := shake(t, listener, &tls.Config{ServerName: test.name, MaxVersion: version, NextProtos: []string{"h2"}})
			switch {
			case test.alert == "" && (err != nil || state.NegotiatedProtocol != "h2"):
				t.Errorf("%q, %x: %v, %q", test.name, version, err, state.NegotiatedProtocol)
			case test.alert != "" && (err == nil || !strings.Contains(err.Error(), test.alert)):
				t.Errorf("%q, %x: %v, expected %s", test.name, version, err, test.alert)
			}
		}
	}
	if store.gets != 0 || len(a.times()) != 0 {
		t.Errorf("%d requests to the store, %d orders", store.gets, len(a.times()))
	}
}

// mustAsk returns a client with an account key, and the challenge of a server.
func mustAsk(t *testing.T, kind string) (*acme.Client, *acme.Challenge) {
	t.Helper()
	key, err := makeKey("ecdsa")
	if err != nil {
		t.Fatal(err)
	}
	return &acme.Client{Key: key}, &acme.Challenge{Type: kind, Token: "token-of-the-server"}
}

// TestChallengeHandshakes checks that both the replica that orders and another one answer tls-alpn-01 with that protocol alone, without a
// certificate of the client, also for a host that is new to it, and for no other host or protocol, and that the store isn't asked for each.
func TestChallengeHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		base := &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}
		first, _ := newReplica(t, store, &authority{})
		second, _ := newReplica(t, store, &authority{})
		hosts := []string{"a.example", "b.example"}
		listeners := []func(*tls.ClientHelloInfo) (*tls.Config, error){first.ForClients(base, hosts), second.ForClients(base, hosts[1:])}
		ask := func(host string, protocols ...string) (works int) {
			for _, l := range listeners {
				state, err := shake(t, l, &tls.Config{ServerName: host, NextProtos: protocols})
				if err == nil && state.NegotiatedProtocol == acme.ALPNProto {
					works++
				}
			}
			return works
		}
		for range 100 {
			if ask("a.example", acme.ALPNProto) != 0 {
				t.Fatal("a challenge is answered before there is one")
			}
		}
		if n := store.count(); n > 2 {
			t.Errorf("100 handshakes at once cost %d requests to the store", n)
		}
		client, asked := mustAsk(t, tlsALPN01)
		if err := first.challenges.offer(t.Context(), client, "a.example", asked); err != nil {
			t.Fatal(err)
		}
		if n := ask("a.example", acme.ALPNProto); n != 2 {
			t.Errorf("%d of 2 replicas answer", n)
		}
		if ask("b.example", acme.ALPNProto)+ask("a.example", acme.ALPNProto, "h2")+ask("c.example", acme.ALPNProto) != 0 {
			t.Error("a challenge is answered for another host, or beside another protocol")
		}
		first.challenges.withdraw(t.Context())
		time.Sleep(lookEvery)
		if ask("a.example", acme.ALPNProto) != 0 || store.has(challengeName) {
			t.Error("the challenge goes on after the order")
		}
	})
}

// TestHTTPChallenge checks which requests without TLS are answered.
func TestHTTPChallenge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		c, _ := newReplica(t, store, &authority{})
		other, _ := newReplica(t, store, &authority{})
		for _, r := range []*Certifier{c, other} {
			r.settings.Challenge = http01
			r.hosts = map[string]held{"a.example": {}, "b.example": {}}
		}
		client, asked := mustAsk(t, http01)
		if err := c.challenges.offer(t.Context(), client, "a.example", asked); err != nil {
			t.Fatal(err)
		}
		want, err := client.HTTP01ChallengeResponse(asked.Token)
		if err != nil {
			t.Fatal(err)
		}
		path, before := challengePath+asked.Token, store.count()
		for _, r := range []*Certifier{c, other} {
			if got, ok := r.HTTPChallenge(t.Context(), "A.example", path); !ok || got != want {
				t.Errorf("%q, %t", got, ok)
			}
			for _, bad := range [][2]string{{"b.example", path}, {"a.example", path + "x"}, {"a.example", challengePath}} {
				if got, ok := r.HTTPChallenge(t.Context(), bad[0], bad[1]); ok {
					t.Errorf("%v is answered %q", bad, got)
				}
			}
		}
		for range 100 {
			other.HTTPChallenge(t.Context(), "c.example", path)
		}
		if n := store.count() - before; n > 2 {
			t.Errorf("100 requests cost %d requests to the store", n)
		}
		c.challenges.withdraw(t.Context())
		if _, ok := c.HTTPChallenge(t.Context(), "a.example", path); ok {
			t.Error("the challenge goes on after the order")
		}
	})
}
