package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"sallyport/internal/auth"
)

// TestOwnPages checks that a route's own pages answer only requests with an identity, whatever the rule says.
func TestOwnPages(t *testing.T) {
	front, _ := start(t, nil, func(r *Route, _ *Config) {
		r.Upstream = nil
		r.Own = func(w http.ResponseWriter, r *auth.Request, i *auth.Identity) {
			io.WriteString(w, i.Subject+" at "+r.Path)
		}
	})
	for path, want := range map[string]int{"/off": 403, "/maybe": 403, "/": 401} {
		res, err := http.Get(front.URL + path)
		if err != nil || res.StatusCode != want {
			t.Errorf("%s without a credential: %v %v, want %d", path, res, err, want)
		}
	}
	r, _ := http.NewRequest(http.MethodGet, front.URL+"/page", nil)
	r.Header.Set("Authorization", "Bearer good")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if string(body) != "john at /page" || res.Header.Get("Set-Cookie") == "" || res.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("got %q with %v, want john's page with his renewed cookie", body, res.Header)
	}
}

// A proxy that asks gets no permission for a route with the gate's own pages: it would forward the request to another service.
func TestOwnPagesArePermittedToNoProxy(t *testing.T) {
	g, _, _ := refusalGate(t, func(r *Route) { r.Own = func(http.ResponseWriter, *auth.Request, *auth.Identity) {} })
	r := httptest.NewRequest(http.MethodGet, "http://gate.example.com/app/", nil)
	r.Header.Set("Authorization", "Bearer good")
	w := httptest.NewRecorder()
	g.Ask(w, r, func(http.ResponseWriter, *Permit) error { t.Error("it is permitted"); return nil })
	if w.Code != http.StatusInternalServerError {
		t.Errorf("got %d, want 500", w.Code)
	}
}
