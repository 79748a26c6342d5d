package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/config"
	"sallyport/internal/redis/redistest"
	"sallyport/internal/session"
)

// A sessionRig is a server with two stores in memory, and one in Redis that two routes with different timeouts share.
type sessionRig struct {
	*testing.T
	*server
	redis *redistest.Server
	url   string
	log   *output
}

func newSessionRig(t *testing.T) *sessionRig {
	r := &sessionRig{T: t, redis: redistest.Start(t), log: &output{}}
	route := func(client, more string) string {
		return fmt.Sprintf("  - {route: {paths: [/%s], upstream: \"http://127.0.0.1:1\"}, oidc: {client_id: %[1]s%s}}\n", client, more)
	}
	inRedis := fmt.Sprintf(", session_storage: redis, redis: {host: 127.0.0.1, port: %d}", r.redis.Port)
	text := "admin: {listen: off}\noidc: {issuer: \"https://idp.example.com\", client_secret: s, " +
		"session_secret: 0123456789abcdef0123456789abcdef}\n" +
		"routes:\n" + route("a", "") + route("b", ", session_idling_timeout: 600") + route("c", inRedis) +
		route("d", inRedis+", session_rolling_timeout: 60")
	name := filepath.Join(t.TempDir(), "gate.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	if r.server, err = newServer(file, Options{Log: r.log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.state.close)
	admin := httptest.NewServer(r.admin())
	t.Cleanup(admin.Close)
	r.url = admin.URL
	return r
}

const sessionIssuer = "https://idp.example.com"

// start starts a session for each client, a minute ago.
func (r *sessionRig) start(subject, sid string, clients ...string) {
	r.Helper()
	for _, client := range clients {
		store := r.builder.Load().sessionStores[map[string]int{"a": 0, "b": 1, "c": 2, "d": 2}[client]]
		_, _, err := store.Start(r.Context(), nil, session.Login{
			Issuer: sessionIssuer, ClientID: client, Subject: subject, SID: sid, Route: "route of " + client,
			Began: time.Now().Add(-time.Minute),
			Identity: &auth.Identity{
				IDToken: auth.Claims{"email": "a-claim"}, Tokens: auth.Tokens{AccessToken: "a-token", RefreshToken: "a-token"},
			},
		})
		if err != nil {
			r.Fatal(err)
		}
	}
}

// ask sends a request to the admin API and expects a status.
func (r *sessionRig) ask(method, query string, status int) (body string, header http.Header) {
	r.Helper()
	q, err := http.NewRequestWithContext(r.Context(), method, r.url+"/sessions"+query, nil)
	if err != nil {
		r.Fatal(err)
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != status {
		r.Errorf("%s %s: got %d %s, expected %d", method, query, res.StatusCode, text, status)
	}
	if strings.Contains(string(text), "a-token") || strings.Contains(string(text), "a-claim") {
		r.Errorf("%s %s shows a token or a claim: %s", method, query, text)
	}
	return string(text), res.Header
}

// list returns the sessions of all pages as "sub client_id", sorted, and the number of pages.
func (r *sessionRig) list(query string) (all []string, pages int) {
	r.Helper()
	for next := ""; pages == 0 || next != ""; pages++ {
		with := query
		if next != "" {
			with += "&page=" + url.QueryEscape(next)
		}
		body, _ := r.ask("GET", with, http.StatusOK)
		var page struct {
			Sessions []sessionRecord `json:"sessions"`
			Next     string          `json:"next"`
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || page.Sessions == nil {
			r.Fatalf("%s: %s, %v", query, body, err)
		}
		for _, s := range page.Sessions {
			all = append(all, s.Subject+" "+s.ClientID)
		}
		next = page.Next
	}
	slices.Sort(all)
	return all, pages
}

func (r *sessionRig) lists(query string, expected ...string) {
	r.Helper()
	if all, _ := r.list(query); !slices.Equal(all, expected) {
		r.Errorf("%s: got %q, expected %q", query, all, expected)
	}
}

func (r *sessionRig) ends(query string, expected int) {
	r.Helper()
	if body, _ := r.ask("DELETE", query, http.StatusOK); body != fmt.Sprintf("{\"ended\":%d}\n", expected) {
		r.Errorf("%s: got %s, expected %d", query, body, expected)
	}
}

// Pages go through one store after the other. Two routes that share a store don't list its sessions twice.
func TestSessionsOfAllStores(t *testing.T) {
	r := newSessionRig(t)
	if n := len(r.builder.Load().sessionStores); n != 3 {
		t.Fatalf("%d stores, expected 3", n)
	}
	var expected []string
	for n := range 5 {
		subject := fmt.Sprintf("user-%d", n)
		r.start(subject, subject, "a", "b", "c", "d")
		for _, client := range []string{"a", "b", "c", "d"} {
			expected = append(expected, subject+" "+client)
		}
	}
	for _, limit := range []string{"1", "2", "5", "1000", "18446744073709551615", "99999999999999999999"} {
		all, pages := r.list("?limit=" + limit)
		if !slices.Equal(all, expected) || limit == "1" && pages < 8 || limit == "1000" && pages != 1 {
			t.Errorf("limit %s: got %q on %d pages", limit, all, pages)
		}
	}
	r.lists("?sub=user-1", "user-1 a", "user-1 b", "user-1 c", "user-1 d")
	r.lists("?route=route+of+d&sub=user-1", "user-1 d")
	r.lists("?client_id=b&sid=user-2&iss="+sessionIssuer, "user-2 b")
	r.lists("?client_id=removed&sub=user-2&iss=" + sessionIssuer)
	r.lists("?iss=https://other")
	r.lists("?route=route+of+c&limit=1", "user-0 c", "user-1 c", "user-2 c", "user-3 c", "user-4 c")
}

// A sub or a sid alone is found in the index, for each issuer and client of the configuration. The key space isn't walked.
func TestSessionsOfASubjectAreNotWalkedFor(t *testing.T) {
	r := newSessionRig(t)
	r.start("john", "1", "a", "c", "d")
	before := r.redis.Calls(t, "scan")
	r.lists("?sub=john", "john a", "john c", "john d")
	r.lists("?sid=1&client_id=d", "john d")
	r.ends("?sid=1", 3)
	if n := r.redis.Calls(t, "scan"); n != before {
		t.Errorf("%d SCANs, expected none", n-before)
	}
	r.lists("?client_id=c")
	if n := r.redis.Calls(t, "scan"); n == before {
		t.Error("no SCAN for a client")
	}
}

func TestEndingSessions(t *testing.T) {
	for query, expected := range map[string][]string{
		"?sub=john":                      {"jane a", "jane c"},
		"?sid=1":                         {"jane a", "jane c", "john c"},
		"?sub=john&client_id=a":          {"jane a", "jane c", "john b", "john c", "john d"},
		"?sub=john&iss=" + sessionIssuer: {"jane a", "jane c"},
		"?sub=john&iss=https://other":    {"jane a", "jane c", "john a", "john b", "john c", "john d"},
		"?client_id=c":                   {"jane a", "john a", "john b", "john d"},
		"?route=route+of+a":              {"jane c", "john b", "john c", "john d"},
		"?route=unknown":                 {"jane a", "jane c", "john a", "john b", "john c", "john d"},
		"?sub=john&client_id=b&iss=" + sessionIssuer: {"jane a", "jane c", "john a", "john c", "john d"},
	} {
		r := newSessionRig(t)
		r.start("john", "1", "a", "b", "d")
		r.start("john", "2", "c")
		r.start("jane", "3", "a", "c")
		r.ends(query, 6-len(expected))
		r.lists("", expected...)
		if line := r.log.String(); strings.Contains(line, "john") || !strings.Contains(line, fmt.Sprintf(`"ended":%d}`, 6-len(expected))) {
			t.Errorf("%s: the log is %s", query, line)
		}
	}
}

// A request that is not understood as a whole ends nothing and lists nothing.
func TestSessionRequestsThatAreRefused(t *testing.T) {
	r := newSessionRig(t)
	r.start("john", "1", "a")
	for _, query := range []string{
		"", "?", "?iss=" + sessionIssuer, "?iss=x&client_id=a", "?client_id=a&route=x", "?sub=john&sid=1",
		"?sub=john&route=x", "?route=x&iss=x",
		"?limit=1", "?sub=john&limit=1", "?sub=john&page=x",
	} {
		r.ask("DELETE", query, http.StatusBadRequest)
	}
	for _, query := range []string{
		"?sub=", "?sub", "?sub=john&sub=john", "?sub=john&sub=", "?user=john", "?Sub=john",
		"?sub=john;route=a", "?sub=%zz", "?&=", "?sub=john&x",
	} {
		r.ask("DELETE", query, http.StatusBadRequest)
		r.ask("GET", query, http.StatusBadRequest)
	}
	name := r.builder.Load().sessionStores[0].name
	for _, query := range []string{
		"?limit=0", "?limit=-1", "?limit=x", "?limit=1&limit=1", "?page=x", "?page=.",
		"?page=0123456789abcdef.", "?page=" + name, "?page=" + name + ".x",
		"?page=", "?sub=john&page=" + name + ".1",
	} {
		r.ask("GET", query, http.StatusBadRequest)
	}
	r.lists("", "john a")
	req := httptest.NewRequest("DELETE", "http://localhost/sessions?sub=john", nil)
	req.RemoteAddr = "192.0.2.1:1234"
	w := httptest.NewRecorder()
	r.admin().ServeHTTP(w, req)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("from another machine: got %d", w.Code)
	}
}

// A store that fails makes the answer 503, and doesn't keep the others from ending their sessions. The same request again is safe.
func TestEndingSessionsWithoutRedis(t *testing.T) {
	r := newSessionRig(t)
	r.start("john", "1", "a", "b", "c")
	r.redis.Kill()
	for range 2 {
		if _, header := r.ask("DELETE", "?sub=john", http.StatusServiceUnavailable); header.Get("Retry-After") != "3" {
			t.Errorf("Retry-After is %q", header.Get("Retry-After"))
		}
	}
	r.ask("GET", "", http.StatusServiceUnavailable)
	r.log.await(t, `"msg":"sessions are ended on request, but perhaps not all","client":"127.0.0.1:\d+","by":"sub","ended":(2),"error":`)
	r.redis.Restart(t)
	third := r.builder.Load().sessionStores[2]
	for end := time.Now().Add(10 * time.Second); third.Ping(context.Background()) != nil && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	r.lists("?sub=john")
	r.ends("?sub=john", 0)
}
