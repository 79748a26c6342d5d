package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"sallyport/internal/auth"
	"sallyport/internal/balance"
	"sallyport/internal/dpop"
)

// A retryCase is a request whose first attempt goes to a target that fails, and what the two targets have received then.
type retryCase struct {
	what          string
	script        func(*scripted, net.Conn, *bufio.Reader) // of the first target
	before        bool                                     // it has answered a GET on the same connection before
	request       string                                   // method and body
	status        int
	first, second string
}

var retryCases = []retryCase{
	{"no answer", endsAfter(""), false, "GET", 200, "GET", "GET"},
	{"no answer", endsAfter(""), false, "HEAD", 200, "HEAD", "HEAD"},
	{"no answer", endsAfter(""), false, "OPTIONS", 200, "OPTIONS", "OPTIONS"},
	{"no answer", endsAfter(""), false, "GET x", 502, "GET x", ""},
	{"no answer", endsAfter(""), false, "POST x", 502, "POST x", ""},
	{"no answer", endsAfter(""), false, "POST", 502, "POST", ""},
	{"no answer", endsAfter(""), false, "PUT x", 502, "PUT x", ""},
	{"no answer", endsAfter(""), false, "DELETE", 502, "DELETE", ""},
	{"a byte", endsAfter("H"), false, "GET", 502, "GET", ""},
	{"early hints", endsAfter("HTTP/1.1 103 Early Hints\r\n\r\n"), false, "GET", 502, "GET", ""},
	{"reused", answersOnce, true, "GET", 200, "GET, GET", "GET"},
	{"reused", answersOnce, true, "GET x", 502, "GET, GET x", ""},
	{"reused", answersOnce, true, "POST x", 502, "GET, POST x", ""},
	{"reused", answersOnce, true, "POST", 502, "GET, POST", ""},
	{"reused", answersOnce, true, "PATCH", 502, "GET, PATCH", ""},
	{"time-out", silent, false, "GET", 504, "GET", ""},
	{"time-out", silent, false, "POST x", 504, "POST x", ""},
}

// TestOneRetry checks which requests are sent to another target when the first one fails, over plain HTTP/1.1, over TLS and for upgrades.
// No target receives a POST that another one may have received, with Idempotency-Key or without.
func TestOneRetry(t *testing.T) {
	for _, c := range retryCases {
		for _, kind := range []string{"http", "https", "upgrade"} {
			for _, key := range [][]string{nil, {"Idempotency-Key", "1", "X-Idempotency-Key", "2"}} {
				if kind == "upgrade" && strings.Contains(c.request, " ") {
					continue
				}
				t.Run(fmt.Sprintf("%s, %s, %s, %v", kind, c.what, c.request, key), func(t *testing.T) { c.run(t, kind, key) })
			}
		}
	}
}

// run sends the request. The first target is asked first: it has a far greater weight.
func (c retryCase) run(t *testing.T, kind string, key []string) {
	t.Parallel()
	first, second := serveScript(t, kind == "https", c.script), serveScript(t, kind == "https", answers)
	scheme := "http://"
	var header []string
	switch kind {
	case "https":
		scheme = "https://"
	case "upgrade":
		header = []string{"Connection", "Upgrade", "Upgrade", "websocket"}
	}
	s := UpstreamSettings{BalanceSettings: BalanceSettings{
		LoadBalancing: balance.RoundRobin, MaxFails: 3, EjectTime: time.Minute,
		Targets: []TargetSettings{{scheme + first.Addr().String(), 1000}},
	}, ResponseHeaderTimeout: 5 * time.Second}
	if c.status == http.StatusGatewayTimeout {
		s.ResponseHeaderTimeout = 100 * time.Millisecond
	}
	front, _ := startTargets(t, s, nil, scheme+second.Addr().String())
	if c.before {
		if status, _ := ask(t, front, "GET", "/off", "", header...); status != 200 {
			t.Fatalf("the first request: %d", status)
		}
	}
	if kind != "http" && c.before && c.status == 200 { // net/http itself tries the same target on a new connection
		c.first, c.second = c.first+", "+c.second, ""
	}
	method, body, _ := strings.Cut(c.request, " ")
	status, _ := ask(t, front, method, "/off", body, append(header, key...)...)
	if status != c.status || first.received() != c.first || second.received() != c.second {
		t.Errorf("%d, and the targets received %q and %q; expected %d, %q, %q",
			status, first.received(), second.received(), c.status, c.first, c.second)
	}
}

// TestRetryOfOneTarget checks that a request to the only target is sent once more on a new connection, if it was sent on a connection that
// had served another one, and that no other request is.
func TestRetryOfOneTarget(t *testing.T) {
	twice := func(s *scripted, c net.Conn, in *bufio.Reader) { // serves one request, and receives another one
		for s.receive(in) && len(s.all())%2 == 1 {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}
	for _, c := range []struct {
		script   func(*scripted, net.Conn, *bufio.Reader)
		request  string
		status   int
		received string
	}{
		{twice, "GET", 200, "GET, GET, GET"}, {twice, "HEAD", 200, "GET, HEAD, HEAD"}, {twice, "OPTIONS", 200, "GET, OPTIONS, OPTIONS"},
		{twice, "GET x", 502, "GET, GET x"}, {twice, "POST x", 502, "GET, POST x"}, {twice, "POST", 502, "GET, POST"},
		{twice, "DELETE", 502, "GET, DELETE"}, {endsAfter(""), "GET", 502, "GET"},
	} {
		for _, scheme := range []string{"http", "https"} {
			target := serveScript(t, scheme == "https", c.script)
			front := startUpstream(t, UpstreamSettings{URL: scheme + "://" + target.Addr().String()})
			if c.status == 200 || strings.Contains(c.received, ",") {
				ask(t, front, "GET", "/off", "")
			}
			method, body, _ := strings.Cut(c.request, " ")
			if status, _ := ask(t, front, method, "/off", body); status != c.status || target.received() != c.received {
				t.Errorf("%s, %s: %d, and the target received %s; expected %d, %s",
					scheme, c.request, status, target.received(), c.status, c.received)
			}
		}
	}
}

// TestRetryWithoutConnection checks that any request is sent to another target if the first one takes no connection, or fails the TLS
// handshake, and that the body arrives there.
func TestRetryWithoutConnection(t *testing.T) {
	for name, first := range map[string]func() string{
		"refused":      func() string { return "http://" + closedAddress(t) },
		"no socket":    func() string { return "unix:" + t.TempDir() + "/gone.sock" },
		"TLS refused":  func() string { return "https://" + closedAddress(t) },
		"no handshake": func() string { return "https://" + serveScript(t, false, refuses).Addr().String() },
		"no TLS at all": func() string {
			return "https://" + serveScript(t, false, endsAfter("HTTP/1.1 400 Bad Request\r\n\r\n")).Addr().String()
		},
	} {
		for _, protocol := range []string{"auto", "http1"} {
			for _, request := range [][]string{
				{"POST", "a body"}, {"DELETE", ""}, {"GET", ""}, {"GET", "a body"},
				{"POST", "", "Connection", "Upgrade", "Upgrade", "websocket"},
			} {
				address := first()
				secure := address[:5] == "https"
				second := serveScript(t, secure, answers)
				s := UpstreamSettings{Protocol: protocol}
				s.Targets = []TargetSettings{{address, 1000}}
				to := map[bool]string{true: "https://", false: "http://"}[secure] + second.Addr().String()
				front, _ := startTargets(t, s, nil, to)
				status, _ := ask(t, front, request[0], "/off", request[1], request[2:]...)
				want := request[0]
				if request[1] != "" {
					want += " " + request[1]
				}
				if status != 200 || second.received() != want {
					t.Errorf("%s, %s, %v: %d, and the second target received %q", name, protocol, request, status, second.received())
				}
			}
		}
	}
}

// closedAddress returns an address at which no server listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestRetryHasItsOwnProof checks that a request with a proof of the gate's gets another proof for its second attempt, for the target to
// which that goes, and that net/http doesn't repeat it with the same one.
func TestRetryHasItsOwnProof(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		first, second := serveScript(t, scheme == "https", answersOnce), serveScript(t, scheme == "https", answers)
		s := UpstreamSettings{}
		s.Targets = []TargetSettings{{scheme + "://" + first.Addr().String(), 1000}}
		sends, _ := sendsProofs(t)
		front, _ := startTargets(t, s, sends, scheme+"://"+second.Addr().String())
		for range 2 {
			if status, _ := ask(t, front, "GET", "/x", ""); status != 200 {
				t.Errorf("%s: %d", scheme, status)
			}
		}
		if first.received() != "GET, GET" || second.received() != "GET" || len(first.proofs) != 2 || len(second.proofs) != 1 {
			t.Fatalf("%s: the targets received %s and %s", scheme, first.received(), second.received())
		}
		seen := map[any]bool{}
		for n, proof := range append(first.proofs, second.proofs...) {
			claims := claimsOf(t, proof)
			if seen[claims["jti"]] {
				t.Errorf("%s: proof %d is sent again", scheme, n)
			}
			seen[claims["jti"]] = true
			if target := []*scripted{first, first, second}[n]; claims["htu"] != scheme+"://"+target.Addr().String()+"/x" {
				t.Errorf("%s: proof %d is for %s", scheme, n, claims["htu"])
			}
		}
	}
}

// sendsProofs makes a route send the token good with proofs by a key.
func sendsProofs(t *testing.T) (change func(*Route, *Config), key *dpop.Key) {
	t.Helper()
	key, err := dpop.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	tokens := auth.Tokens{AccessToken: "good", DPoPKey: private}
	change = func(r *Route, _ *Config) {
		r.Headers.UpstreamDPoP = true
		r.Chain = auth.Chain{{Flow: flowFunc(func(*auth.Request) (*auth.Result, error) {
			return &auth.Result{Identity: &auth.Identity{Subject: "john", AccessToken: auth.Claims{"sub": "john"}, Tokens: tokens}}, nil
		})}}
	}
	return change, key
}

// claimsOf returns the claims of a JWT.
func claimsOf(t *testing.T, text string) (claims map[string]any) {
	t.Helper()
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err == nil {
		err = token.UnsafeClaimsWithoutVerification(&claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims
}
