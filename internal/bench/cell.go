package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/dpop/dpoptest"
	"sallyport/internal/provider"
)

// A cell is one kind of request through the gate, with its goal.
type cell struct {
	name  string
	about string
	goal  float64 // the maximum CPU time per request, relative to the bare proxy; 0 for no goal
	bare  bool    // the requests go to the second bare proxy, not to the gate
	want  answer  // zero: passed

	requests requests
	fresh    fresh    // makes each request; nil: requests are sent in turn, again and again
	over     requests // compare with these requests to the same proxy; nil compares with the bare proxy
	uncount  bool     // over goes to a gate with metrics: {enabled: false}
}

// A requests returns the requests to send to a proxy, in turn. It is called once for each pass.
type requests func(*rig, *process) ([][]byte, error)

// A fresh returns a function that makes requests, each of which can be sent once. It may be called concurrently.
type fresh func(*rig, *process) func() []byte

// cells lists all cells. The range of the first one is the noise of the machine.
var cells = []cell{
	{name: "bare", about: "a second bare proxy", bare: true, requests: plain("/")},
	{name: "off", about: "auth: off", goal: 1.15, requests: plain("/off")},
	{name: "bearer", about: "bearer, one token", goal: 1.5, requests: bearer("/", 1)},
	{name: "bearer-10000", about: "bearer, 10,000 tokens", goal: 1.6, requests: bearer("/", 10000)},
	{name: "es256", about: "a bare proxy that verifies one ES256 signature: the floor of dpop", bare: true, requests: plain(es256Path)},
	{name: "dpop", about: "bearer, one bound token, a proof for each request", requests: plain("/off"), fresh: proved("/memory")},
	{name: "mtls", about: "bearer, one token bound to a certificate, which a trusted proxy sends", requests: certified("/cert")},
	{name: "introspection", about: "introspection, cached", goal: 1.5, requests: bearer("/asked", 1)},
	{name: "session-redis", about: "session in Redis", goal: 1.4, requests: session("/", username)},
	{name: "session-memory", about: "session in memory", goal: 1.2, requests: session("/memory", username)},
	{name: "session-cookie", about: "session of 5 KB in cookies", goal: 1.8, requests: session("/cookie", bigUser)},
	{name: "refused", about: "no credential: 401", goal: 0.4, want: answer{http.StatusUnauthorized, anySize},
		requests: plain("/")},
	{name: "rules", about: "1,000 rules over one", goal: 1.1,
		requests: bearer("/many/page/500", 1), over: bearer("/one/page/500", 1)},
	{name: "metrics", about: "metrics over none", goal: 1.02, requests: bearer("/", 1), over: bearer("/", 1), uncount: true},
}

// passed is the upstream's response.
var passed = answer{http.StatusOK, answerSize}

// selectCells returns the cells with these names, separated by commas, or all cells for "".
func selectCells(list string) ([]cell, error) {
	if list == "" {
		return cells, nil
	}
	var selected []cell
	for name := range strings.SplitSeq(list, ",") {
		n := slices.IndexFunc(cells, func(c cell) bool { return c.name == name })
		if n < 0 {
			return nil, fmt.Errorf("unknown cell %q, expected one of %s", name, names(cells))
		}
		selected = append(selected, cells[n])
	}
	return selected, nil
}

func names(all []cell) string {
	var list []string
	for _, c := range all {
		list = append(list, c.name)
	}
	return strings.Join(list, ", ")
}

// get returns the bytes of a GET request. With its Accept the gate doesn't start a login.
func get(p *process, path string, header ...string) []byte {
	lines := append([]string{"GET " + path + " HTTP/1.1", "Host: " + p.address, "User-Agent: bench", "Accept: application/json"}, header...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// plain returns a request without a credential.
func plain(path string) requests {
	return func(_ *rig, p *process) ([][]byte, error) { return [][]byte{get(p, path)}, nil }
}

// bearer returns n requests with different access tokens.
func bearer(path string, n int) requests {
	return func(r *rig, p *process) ([][]byte, error) {
		var all [][]byte
		for i := range n {
			token := r.issuer.AccessToken(username, clientID, map[string]any{"jti": strconv.Itoa(i)})
			all = append(all, get(p, path, "Authorization: Bearer "+token))
		}
		return all, nil
	}
}

// proved makes requests with one access token that is bound to a key, each with its own proof.
func proved(path string) fresh {
	return func(r *rig, p *process) func() []byte {
		key := dpoptest.NewKey()
		token := r.issuer.AccessToken(username, clientID, map[string]any{"cnf": map[string]any{"jkt": key.Thumbprint()}})
		return func() []byte {
			return get(p, path, "Authorization: DPoP "+token, "DPoP: "+key.Proof(http.MethodGet, "http://"+p.address+path, token))
		}
	}
}

// certified returns a request with an access token that is bound to a certificate, and with the certificate as a proxy in front of the gate
// sends it (RFC 9440).
func certified(path string) requests {
	return func(r *rig, p *process) ([][]byte, error) {
		der := provider.SelfSignedCert("client").Certificate[0]
		token := r.issuer.AccessToken(username, clientID, map[string]any{"cnf": map[string]any{"x5t#S256": provider.Thumbprint(der)}})
		return [][]byte{get(p, path, "Authorization: Bearer "+token,
			"Client-Cert: :"+base64.StdEncoding.EncodeToString(der)+":")}, nil
	}
}

// session logs a user in and returns a request with the cookies of the session.
func session(path, user string) requests {
	return func(r *rig, p *process) ([][]byte, error) {
		cookie, err := r.login(p, path, user)
		if err != nil {
			return nil, fmt.Errorf("login: %w", err)
		}
		return [][]byte{get(p, path, "Cookie: "+cookie)}, nil
	}
}
