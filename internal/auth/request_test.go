package auth

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A login begins only for a page that a browser shows at the top level.
func TestNavigation(t *testing.T) {
	page := map[string]string{"Accept": "text/html,application/xhtml+xml"}
	for _, c := range []struct {
		name   string
		method string
		more   map[string]string
		want   bool
	}{
		{"a page", "GET", nil, true},
		{"its head", "HEAD", nil, true},
		{"a browser with Fetch Metadata", "GET", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, true},
		{"a form", "POST", nil, false},
		{"a program", "GET", map[string]string{"Accept": "application/json"}, false},
		{"a script", "GET", map[string]string{"Sec-Fetch-Mode": "cors"}, false},
		{"an older script", "GET", map[string]string{"X-Requested-With": "xmlhttprequest"}, false},
		{"a frame", "GET", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, false},
		{"a prefetch", "GET", map[string]string{"Sec-Purpose": "prefetch;prerender"}, false},
		{"an older prefetch", "GET", map[string]string{"Purpose": "prefetch"}, false},
		{"an upgrade", "GET", map[string]string{"Upgrade": "websocket"}, false},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		for _, header := range []map[string]string{page, c.more} {
			for name, value := range header {
				r.Header.Set(name, value)
			}
		}
		req := &Request{Request: r}
		if got := req.Navigation(false); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if got := req.Navigation(true); got != (c.want || c.name == "a program") {
			t.Errorf("%s, where a login begins for every request for a page: %v", c.name, got)
		}
	}
}

// A GET may change something only if it is the user's own navigation, another method if no other site caused it.
func TestMayChange(t *testing.T) {
	for _, c := range []struct {
		name                      string
		site, mode, dest, purpose string
		get, post                 bool
	}{
		{"a link of the same origin", "same-origin", "navigate", "document", "", true, true},
		{"an address that was typed", "none", "navigate", "document", "", true, true},
		{"no Fetch Metadata", "", "", "", "", false, true},
		{"half of Fetch Metadata", "same-origin", "", "", "", false, true},
		{"a link of a sibling", "same-site", "navigate", "document", "", false, false},
		{"a link of another site", "cross-site", "navigate", "document", "", false, false},
		{"a script", "same-origin", "cors", "empty", "", false, true},
		{"a picture", "same-origin", "no-cors", "image", "", false, true},
		{"a frame", "same-origin", "navigate", "iframe", "", false, true},
		{"a prefetch", "same-origin", "navigate", "document", "Sec-Purpose: prefetch", false, true},
		{"a prerendered page", "none", "navigate", "document", "Sec-Purpose: prefetch;prerender", false, true},
		{"an older prefetch", "same-origin", "navigate", "document", "Purpose: Prefetch", false, true},
		{"Safari's preview", "none", "navigate", "document", "X-Purpose: prerender", false, true},
		{"Firefox's older prefetch", "same-origin", "navigate", "document", "X-Moz: prefetch", false, true},
	} {
		for method, want := range map[string]bool{"GET": c.get, "HEAD": c.get, "POST": c.post, "DELETE": c.post} {
			r := &Request{Request: httptest.NewRequest(method, "/", nil)}
			name, value, _ := strings.Cut(c.purpose, ": ")
			for k, v := range map[string]string{"Sec-Fetch-Site": c.site, "Sec-Fetch-Mode": c.mode, "Sec-Fetch-Dest": c.dest, name: value} {
				if v != "" {
					r.Header.Set(k, v)
				}
			}
			if got := r.MayChange(); got != want {
				t.Errorf("%s by %s: %v", c.name, method, got)
			}
		}
	}
}

// A body that was read is forwarded unchanged, except for hidden parameters.
func TestForm(t *testing.T) {
	const form, json = "application/x-www-form-urlencoded", "application/json; charset=utf-8"
	for _, c := range []struct {
		name, kind, body string
		token            []string // the values of access_token
		rest             string   // what goes on without it
	}{
		{"a form", form, "a=1&access_token=t%2B1&b=%zz", []string{"t+1"}, "a=1&b=%zz"},
		{"twice", form, "access_token=1&access_token=2", []string{"1", "2"}, ""},
		{"in escapes", form, "%61ccess_token=1&x", []string{"1"}, "x"},
		{"JSON", json, `{"a": [1, 2], "access_token": "t", "n": 1.0e2}`, []string{"t"}, `{"a":[1, 2],"n":1.0e2}`},
		{"JSON twice", json, `{"access_token":"1","access_token":"2"}`, []string{"1", "2"}, "{}"},
		{"no string", json, `{"access_token":1}`, nil, "{}"},
		{"no object", json, `["access_token"]`, nil, `["access_token"]`},
		{"more than one value", json, `{"access_token":"1"} {}`, nil, `{"access_token":"1"} {}`},
		{"another kind", "text/plain", "access_token=1", nil, "access_token=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &Request{Request: httptest.NewRequest("POST", "/", strings.NewReader(c.body))}
			r.Header.Set("Content-Type", c.kind)
			f, err := r.Form(1024)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Values["access_token"]; strings.Join(got, " ") != strings.Join(c.token, " ") {
				t.Errorf("got the tokens %q, want %q", got, c.token)
			}
			r.HideBody([]string{"access_token"})
			rest, err := io.ReadAll(r.Body)
			if err != nil || string(rest) != c.rest || f.raw != nil && r.ContentLength != int64(len(rest)) {
				t.Errorf("%q goes on with length %d (%v), want %q", rest, r.ContentLength, err, c.rest)
			}
		})
	}
}

// A body of one byte more than the limit is refused.
func TestFormLimit(t *testing.T) {
	for n, want := range map[int]int{64: 0, 65: http.StatusRequestEntityTooLarge} {
		r := &Request{Request: httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("a", n)))}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		_, err := r.Form(64)
		got := 0
		if err != nil {
			got = AsError(err).Status
		}
		if got != want {
			t.Errorf("%d bytes: got %d, want %d", n, got, want)
		}
	}
}

// TestFormMethods checks that only the bodies of methods that define one are read. Other bodies are forwarded unchanged.
func TestFormMethods(t *testing.T) {
	const body = "access_token=x"
	for method, reads := range map[string]bool{
		"POST": true, "PUT": true, "PATCH": true,
		"GET": false, "HEAD": false, "DELETE": false, "OPTIONS": false, "QUERY": false, "PROPFIND": false, "post": false,
	} {
		q := httptest.NewRequest("GET", "/", strings.NewReader(body))
		q.Method = method
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r := &Request{Request: q}
		form, err := r.Form(1 << 10)
		if err != nil || form.Values.Has("access_token") != reads {
			t.Errorf("%s: %v, %v, expected that it is read: %v", method, form.Values, err, reads)
		}
		r.HideBody([]string{"access_token"})
		want := body
		if reads {
			want = ""
		}
		if rest, _ := io.ReadAll(r.Body); string(rest) != want {
			t.Errorf("%s: %q goes on, expected %q", method, rest, want)
		}
	}
}
