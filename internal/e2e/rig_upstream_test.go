package e2e

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// An upstream records its requests and responds with the user of the request.
type upstream struct {
	url string

	mu       sync.Mutex
	arrivals []arrival
	held     map[string]chan struct{} // by path; requests wait until the channel is closed
}

// An arrival is a request that the upstream received.
type arrival struct {
	method string
	uri    string // the request target
	host   string
	header http.Header
	body   string
}

func startUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{held: map[string]chan struct{}{}}
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	u.url = server.URL
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	u.arrivals = append(u.arrivals, arrival{r.Method, r.RequestURI, r.Host, r.Header.Clone(), string(body)})
	hold := u.held[r.URL.Path]
	u.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	if r.URL.Path == "/hints" {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
	}
	http.SetCookie(w, &http.Cookie{Name: "theme", Value: "blue", Path: "/"})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width">
<title>Upstream</title><body style="font-family:sans-serif;overflow-wrap:anywhere">
<h1>Hello <span id="user">%s</span></h1><p>You asked for <code id="uri">%s</code></p>`,
		html.EscapeString(r.Header.Get("X-User")), html.EscapeString(r.RequestURI))
}

// all returns all requests so far.
func (u *upstream) all() []arrival {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.arrivals)
}

// count returns the number of requests.
func (u *upstream) count() int { return len(u.all()) }

// mustArrival returns the last request for a request target.
func (u *upstream) mustArrival(t *testing.T, uri string) arrival {
	t.Helper()
	all := u.all()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].uri == uri {
			return all[i]
		}
	}
	t.Fatalf("nothing arrived at %s, but %d other requests", uri, len(all))
	return arrival{}
}

// arrived reports whether the upstream received a request for a request target.
func (u *upstream) arrived(uri string) bool {
	return slices.ContainsFunc(u.all(), func(a arrival) bool { return a.uri == uri })
}

// hold blocks requests for a path until release is called.
func (u *upstream) hold(path string) (release func()) {
	c := make(chan struct{})
	u.mu.Lock()
	u.held[path] = c
	u.mu.Unlock()
	return sync.OnceFunc(func() { close(c) })
}
