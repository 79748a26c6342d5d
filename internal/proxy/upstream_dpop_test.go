package proxy

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"sallyport/internal/auth"
	"sallyport/internal/dpop"
)

// A provedUpstream verifies proofs with go-jose, as an upstream does.
type provedUpstream struct {
	key   *dpop.Key
	plain bool // expects no proof

	mu       sync.Mutex
	nonce    string // required of proofs; "": none
	always   string // the challenge of every response; "": none
	renew    bool   // name another nonce in each response
	requests int
	seen     map[string]bool // jti
	body     string          // of the last request that passed
	wrong    error
}

func (u *provedUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.requests++; u.renew {
		u.nonce += "x"
	}
	w.Header().Set("DPoP-Nonce", u.nonce)
	w.Header()["Www-Authenticate"] = []string{`Bearer realm="b", DPoP algs="ES256", error="` + u.always + `"`}
	if u.always != "" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	used, err := u.verify(r)
	switch {
	case err != nil:
		u.wrong = err
		w.WriteHeader(http.StatusForbidden)
	case used != u.nonce && u.nonce != "":
		w.Header()["Www-Authenticate"] = []string{`DPoP error="use_dpop_nonce"`}
		w.WriteHeader(http.StatusUnauthorized)
	default:
		u.body = string(body)
	}
}

// verify verifies the proof of a request and returns its nonce.
func (u *provedUpstream) verify(r *http.Request) (nonce string, err error) {
	if u.plain {
		if r.Header.Get("Authorization") != "Bearer good" || len(r.Header["Dpop"]) > 0 {
			return "", fmt.Errorf("expected a bearer token without proof, got %v", r.Header)
		}
		return u.nonce, nil
	}
	if r.Header.Get("Authorization") != "DPoP good" || len(r.Header["Authorization"]) != 1 || len(r.Header["Dpop"]) != 1 {
		return "", fmt.Errorf("expected a token by the scheme DPoP and one proof, got %v", r.Header)
	}
	proof, err := jwt.ParseSigned(r.Header.Get("DPoP"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return "", err
	}
	public := proof.Headers[0].JSONWebKey
	var c struct{ Jti, Htm, Htu, Ath, Nonce string }
	claims := map[string]any{}
	if err := proof.Claims(public, &claims); err != nil {
		return "", err
	}
	for name, to := range map[string]*string{"jti": &c.Jti, "htm": &c.Htm, "htu": &c.Htu, "ath": &c.Ath, "nonce": &c.Nonce} {
		*to, _ = claims[name].(string)
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	sum, _ := public.Thumbprint(crypto.SHA256)
	jkt, _ := u.key.Thumbprint()
	ath, iat := sha256.Sum256([]byte("good")), int64(claims["iat"].(float64))
	switch {
	case base64.RawURLEncoding.EncodeToString(sum) != jkt:
		return "", fmt.Errorf("the proof is by another key")
	case c.Htm != r.Method || c.Htu != scheme+"://"+r.Host+r.URL.EscapedPath():
		return "", fmt.Errorf("the proof is for %s %s, the request %s %s://%s%s", c.Htm, c.Htu,
			r.Method, scheme, r.Host, r.URL.EscapedPath())
	case c.Ath != base64.RawURLEncoding.EncodeToString(ath[:]):
		return "", fmt.Errorf("ath is %q", c.Ath)
	case u.seen[c.Jti] || c.Jti == "":
		return "", fmt.Errorf("the proof was used before")
	case time.Since(time.Unix(iat, 0)).Abs() > time.Minute:
		return "", fmt.Errorf("iat is %v", iat)
	}
	u.seen[c.Jti] = true
	return c.Nonce, nil
}

// count returns the number of requests since the last call, and the last error of verify.
func (u *provedUpstream) count() (n int, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n, err = u.requests, u.wrong
	u.requests, u.wrong = 0, nil
	return n, err
}

func (u *provedUpstream) set(nonce, always string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.nonce, u.always = nonce, always
}

// startProved starts a gate that sends the bound token good to an upstream, over HTTP/2 if h2.
func startProved(t *testing.T, h2 bool, change func(*Route)) (*httptest.Server, *provedUpstream) {
	t.Helper()
	sends, key := sendsProofs(t)
	u := &provedUpstream{key: key, seen: map[string]bool{}}
	back := httptest.NewUnstartedServer(u)
	back.EnableHTTP2 = h2
	if back.Start(); h2 {
		back.Close()
		back = httptest.NewUnstartedServer(u)
		back.EnableHTTP2 = true
		back.StartTLS()
	}
	t.Cleanup(back.Close)
	up, err := NewUpstream(UpstreamSettings{
		URL: back.URL + "/base", ConnectTimeout: time.Second, ResponseHeaderTimeout: 2 * time.Second, IdleTimeout: time.Second,
		Reuse: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { up.Close() })
	front, _ := start(t, nil, func(r *Route, c *Config) {
		r.Upstream = up
		sends(r, c)
		if change != nil {
			change(r)
		}
	})
	return front, u
}

// askProved sends a request with headers that a client may try, and returns the response.
func askProved(t *testing.T, front *httptest.Server, method, path, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(method, front.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Dpop"] = []string{"of-the-client", "twice"}
	r.Header.Set("Authorization", "DPoP of-the-client")
	res, err := front.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.Header.Get("DPoP-Nonce") != "" || strings.Contains(strings.ToLower(strings.Join(res.Header["Www-Authenticate"], " ")), "dpop") {
		t.Errorf("%s %s: the client received %v", method, path, res.Header)
	}
	return res
}

// TestUpstreamProof checks the proofs that an upstream receives, and when a request is sent once more for a nonce.
func TestUpstreamProof(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		front, u := startProved(t, h2, nil)
		for _, step := range []struct {
			name, nonce, method, path string
			body                      int
			requests, status          int
		}{
			{"without nonce", "", "GET", "/a%20b/%C3%A9?q=1", 0, 1, 200},
			{"a first nonce", "n1", "GET", "/a", 0, 2, 200},
			{"remembered", "n1", "GET", "/a", 0, 1, 200},
			{"a short body", "n2", "POST", "/a", 1 << 10, 2, 200},
			{"the longest body", "n3", "POST", "/a", maxReplayed, 2, 200},
			{"too long a body", "n4", "POST", "/a", maxReplayed + 64<<10, 1, 503},
			{"sent again by the client", "n4", "POST", "/a", maxReplayed + 64<<10, 1, 200},
		} {
			u.set(step.nonce, "")
			body := strings.Repeat("x", step.body)
			res := askProved(t, front, step.method, step.path, body)
			n, err := u.count()
			if err != nil || n != step.requests || res.StatusCode != step.status {
				t.Errorf("HTTP/2 %v, %s: %d requests and %s, expected %d and %d: %v",
					h2, step.name, n, res.Status, step.requests, step.status, err)
			}
			if step.status == 503 && res.Header.Get("Retry-After") == "" {
				t.Errorf("%s: the response doesn't say to send it again", step.name)
			}
			if step.status == 200 && u.body != body {
				t.Errorf("%s: the upstream received %d bytes, expected %d", step.name, len(u.body), len(body))
			}
		}
	}
}

// TestUpstreamProofRefused checks what a client receives of an upstream that takes no proof.
func TestUpstreamProofRefused(t *testing.T) {
	front, u := startProved(t, false, nil)
	for _, test := range []struct {
		challenge        string
		requests, status int
	}{
		{"invalid_token", 1, 401},
		{"use_dpop_nonce", 1, 401}, // without a nonce nothing is sent again
	} {
		u.set("", test.challenge)
		res := askProved(t, front, "GET", "/", "")
		n, _ := u.count()
		if n != test.requests || res.StatusCode != test.status || res.Header.Get("WWW-Authenticate") != `Bearer realm="b"` {
			t.Errorf("%s: %d requests, %s, %v", test.challenge, n, res.Status, res.Header)
		}
	}
	u.set("n1", "use_dpop_nonce")
	if res := askProved(t, front, "GET", "/", ""); res.StatusCode != 401 {
		t.Errorf("an upstream that refuses the nonce that it named: %s", res.Status)
	}
	u.count()
	u.mu.Lock()
	u.renew = true
	u.mu.Unlock()
	res := askProved(t, front, "GET", "/", "")
	if n, _ := u.count(); n != 2 || res.StatusCode != 503 {
		t.Errorf("an upstream that names another nonce each time: %d requests, %s", n, res.Status)
	}
}

// TestUpstreamProofPaths checks the URL in the proof where the upstream sees another one than the client.
func TestUpstreamProofPaths(t *testing.T) {
	front, u := startProved(t, false, func(r *Route) { r.Paths, r.StripPath, r.PreserveHost = []string{"/app"}, true, true })
	if res := askProved(t, front, "GET", "/app/x", ""); res.StatusCode != 200 {
		_, err := u.count()
		t.Errorf("%s: %v", res.Status, err)
	}
}

// TestUnboundToken checks that a token that isn't bound to a key of the gate is sent as bearer token on a route with upstream_dpop.
func TestUnboundToken(t *testing.T) {
	front, u := startProved(t, false, func(r *Route) {
		r.Chain = auth.Chain{{Flow: flowFunc(func(*auth.Request) (*auth.Result, error) {
			return &auth.Result{Identity: &auth.Identity{
				Subject: "john", AccessToken: auth.Claims{"sub": "john"}, Tokens: auth.Tokens{AccessToken: "good"},
			}}, nil
		})}}
	})
	u.plain = true
	r, _ := http.NewRequest("GET", front.URL+"/", nil)
	r.Header.Set("Authorization", "Bearer good")
	res, err := front.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if _, err := u.count(); err != nil || res.StatusCode != 200 || strings.Contains(fmt.Sprint(res.Header), "DPoP") {
		t.Errorf("%s, %v: %v", res.Status, res.Header, err)
	}
}
