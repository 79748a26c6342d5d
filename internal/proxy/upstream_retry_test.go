package proxy

import (
	"bufio"
	"net"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"sallyport/internal/auth"
	"sallyport/internal/balance"
	"sallyport/internal/dpop"
)

// A retryCase is a request whose first attempt goes to a target that fails, and what happens then.
type retryCase struct {
	first        func(*scripted, net.Conn, *bufio.Reader)
	before       bool // the first target has answered a request on the same connection before
	method, body string
	header       []string
	status       int
	received     string // the requests that the first target has received
	second       string // those that the second one has received
}

// TestOneRetry checks which requests are sent to another target when the first one fails, over plain HTTP/1.1, over TLS and for upgrades. No
// target receives a POST that another one may have received.
func TestOneRetry(t *testing.T) {
	key := []string{"Idempotency-Key", "1", "X-Idempotency-Key", "2"}
	for name, c := range map[string]retryCase{
		"no answer, GET":                  {first: endsAfter(""), method: "GET", status: 200, received: "GET", second: "GET"},
		"no answer, HEAD":                 {first: endsAfter(""), method: "HEAD", status: 200, received: "HEAD", second: "HEAD"},
		"no answer, OPTIONS":              {first: endsAfter(""), method: "OPTIONS", status: 200, received: "OPTIONS", second: "OPTIONS"},
		"no answer, GET with a body":      {first: endsAfter(""), method: "GET", body: "x", status: 502, received: "GET x"},
		"no answer, POST":                 {first: endsAfter(""), method: "POST", body: "x", status: 502, received: "POST x"},
		"no answer, POST without body":    {first: endsAfter(""), method: "POST", status: 502, received: "POST"},
		"no answer, PUT":                  {first: endsAfter(""), method: "PUT", body: "x", status: 502, received: "PUT x"},
		"no answer, DELETE":               {first: endsAfter(""), method: "DELETE", status: 502, received: "DELETE"},
		"a byte, GET":                     {first: endsAfter("H"), method: "GET", status: 502, received: "GET"},
		"reused, GET":                     {first: answersOnce, before: true, method: "GET", status: 200, received: "GET, GET", second: "GET"},
		"reused, GET with a body":         {first: answersOnce, before: true, method: "GET", body: "x", status: 502, received: "GET, GET x"},
		"reused, POST":                    {first: answersOnce, before: true, method: "POST", body: "x", status: 502, received: "GET, POST x"},
		"reused, POST without body":       {first: answersOnce, before: true, method: "POST", status: 502, received: "GET, POST"},
		"reused, POST with a key":         {first: answersOnce, before: true, method: "POST", body: "x", header: key, status: 502, received: "GET, POST x"},
		"reused, POST with a key alone":   {first: answersOnce, before: true, method: "POST", header: key, status: 502, received: "GET, POST"},
		"reused, PATCH with a key, empty": {first: answersOnce, before: true, method: "PATCH", header: key, status: 502, received: "GET, PATCH"},
		"time-out, GET":                   {first: silent, method: "GET", status: 504, received: "GET"},
		"time-out, POST":                  {first: silent, method: "POST", body: "x", status: 504, received: "POST x"},
	} {
		for _, kind := range []string{"http", "https", "upgrade"} {
			if kind == "upgrade" && c.body != "" {
				continue
			}
			t.Run(kind+"/"+name, func(t *testing.T) { c.run(t, kind) })
		}
	}
}

// run sends the request. The first target is asked first: it has a far greater weight.
func (c retryCase) run(t *testing.T, kind string) {
	t.Parallel()
	first, second := serveScript(t, kind == "https", c.first), serveScript(t, kind == "https", answers)
	scheme, header := "http://", c.header
	switch kind {
	case "https":
		scheme = "https://"
	case "upgrade":
		header = append([]string{"Connection", "Upgrade", "Upgrade", "websocket"}, header...)
	}
	s := UpstreamSettings{BalanceSettings: BalanceSettings{
		LoadBalancing: balance.RoundRobin, MaxFails: 3, EjectTime: time.Minute,
		Targets: []TargetSettings{{scheme + first.Addr().String(), 1000}},
	}, ResponseHeaderTimeout: 300 * time.Millisecond}
	front, _ := startTargets(t, s, nil, scheme+second.Addr().String())
	if c.before {
		if status, _ := ask(t, front, "GET", "/off", "", header[:len(header)-len(c.header)]...); status != 200 {
			t.Fatalf("the first request: %d", status)
		}
	}
	if kind != "http" && c.before && c.status == 200 { // net/http itself tries the same target on a new connection
		c.received, c.second = c.received+", "+c.second, ""
	}
	status, _ := ask(t, front, c.method, "/off", c.body, header...)
	if status != c.status || first.received() != c.received || second.received() != c.second {
		t.Errorf("%d, and the targets received %q and %q; expected %d, %q, %q",
			status, first.received(), second.received(), c.status, c.received, c.second)
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

// TestRetryHasItsOwnProof checks that a request with a proof of the gate's gets another proof for its second attempt, for the target to which
// that goes, and that net/http doesn't repeat it with the same one.
func TestRetryHasItsOwnProof(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		first, second := serveScript(t, scheme == "https", answersOnce), serveScript(t, scheme == "https", answers)
		s := UpstreamSettings{}
		s.Targets = []TargetSettings{{scheme + "://" + first.Addr().String(), 1000}}
		front, _ := startTargets(t, s, sendsProofs(t), scheme+"://"+second.Addr().String())
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

// sendsProofs makes a route send a bound token with proofs.
func sendsProofs(t *testing.T) func(*Route, *Config) {
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
	return func(r *Route, _ *Config) {
		r.Headers.UpstreamDPoP = true
		r.Chain = auth.Chain{{Flow: flowFunc(func(*auth.Request) (*auth.Result, error) {
			return &auth.Result{Identity: &auth.Identity{Subject: "john", AccessToken: auth.Claims{"sub": "john"}, Tokens: tokens}}, nil
		})}}
	}
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
