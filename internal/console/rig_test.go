package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const testToken = "the-admin-token"

// A rig is a console of the admin listener with one session and one refusal, which strangers have named.
type rig struct {
	*testing.T
	admin  *Admin
	token  string
	now    time.Time
	listen bool // on loopback only
	ended  []Ending
	logins []bool
}

// evil is a text as a stranger may choose it.
const evil = "<script>alert(1)</script>\u202egnp.exe\x1b[31m\"'"

func newRig(t *testing.T) *rig {
	r := &rig{T: t, token: testToken, now: time.Unix(1_800_000_000, 0), listen: true}
	session := Session{
		Key: "k1", Subject: evil, Issuer: "https://idp.example.com", ClientID: "app", Route: evil, Storage: "memory", SID: evil,
	}
	c := New(Config{
		Overview: func() Overview {
			return Overview{State: "ready", Refused: &Reload{Problems: []string{"gate.yaml:3: " + evil}}, Warnings: []string{evil},
				Parts: []Part{{Kind: "issuer", Name: evil, Failure: evil}}, Listeners: []Listener{{For: "clients", Address: ":8000"}}}
		},
		Routes: func() []Route {
			return []Route{{Name: evil, Place: "gate.yaml:1", Paths: []string{"/"}, Targets: []Target{{Name: evil}},
				Rules: []Rule{{Place: "gate.yaml:2", Auth: "required", Requires: []string{evil}}}}}
		},
		Keys: func(context.Context) Keys {
			return Keys{Issuers: []Issuer{{URL: evil, Failure: evil, Keys: []Key{{ID: evil, Algorithm: evil}}}}, Failure: "x"}
		},
		Sessions: func(_ context.Context, q Query, page string) (s Sessions, err error) {
			switch {
			case page == "bad":
				return s, ErrPage
			case page == "away":
				return s, errors.New("the store is away")
			case q.Subject == "" || q.Subject == evil:
				s.Found = []Session{session}
			}
			s.Next = "2"
			return s, nil
		},
		End: func(_ context.Context, e Ending) (int, error) {
			if e.ClientID == "away" {
				return 0, errors.New("the store is away")
			}
			r.ended = append(r.ended, e)
			return 1, nil
		},
		Refusals: func() []Refusal {
			return []Refusal{{Number: 7, RequestID: "id-7", Method: evil, Path: evil, Subject: evil, Reason: "roles_required", Status: 403,
				Explain: func() Explanation {
					return Explanation{Steps: []Step{{Name: "roles", Detail: evil, Refuses: true}}, Result: "refused: 403 " + evil}
				}}}
		},
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return r.now },
	})
	r.admin = NewAdmin(AdminConfig{
		Console: c, Token: func() string { return r.token }, Loopback: func() bool { return r.listen },
		IsLocal: func(q *http.Request) bool {
			return strings.HasPrefix(q.RemoteAddr, "127.") && q.Header.Get("Origin") == ""
		},
		LoggedIn: func(_ string, ok bool) { r.logins = append(r.logins, ok) },
	})
	return r
}

// An edit changes a request.
type edit func(*http.Request)

func from(address string) edit { return func(r *http.Request) { r.RemoteAddr = address + ":1234" } }

func with(header ...string) edit {
	return func(r *http.Request) {
		for n := 0; n < len(header); n += 2 {
			if header[n] == "Host" {
				r.Host = header[n+1]
			}
			r.Header.Set(header[n], header[n+1])
		}
	}
}

func cookie(value string) edit {
	return func(r *http.Request) { r.Header.Add("Cookie", cookieName+"="+value) }
}

// request returns a browser's request. By default it comes from another machine, through a proxy that ends TLS.
func request(method, path string, form url.Values, edits ...edit) *http.Request {
	q := httptest.NewRequest(method, "http://gate.example.com/console/"+path, strings.NewReader(form.Encode()))
	q.RemoteAddr = "192.0.2.1:1234"
	q.Header.Set("Accept", "text/html")
	q.Header.Set("X-Forwarded-Proto", "https")
	if method == http.MethodPost {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.Header.Set("Origin", "https://gate.example.com")
		q.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, e := range edits {
		e(q)
	}
	return q
}

func (r *rig) do(q *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.admin.ServeHTTP(w, q)
	return w
}

func (r *rig) get(path string, edits ...edit) *httptest.ResponseRecorder {
	return r.do(request(http.MethodGet, path, nil, edits...))
}

func (r *rig) post(path string, form url.Values, edits ...edit) *httptest.ResponseRecorder {
	return r.do(request(http.MethodPost, path, form, edits...))
}

// login logs in with the admin token, and returns the value of the cookie.
func (r *rig) login() string {
	r.Helper()
	w := r.post("login", url.Values{"token": {r.token}})
	all := w.Result().Cookies()
	if w.Code != http.StatusSeeOther || len(all) != 1 {
		r.Fatalf("the login is answered %d with %v", w.Code, all)
	}
	return all[0].Value
}

// endForm returns the form that ends a session, with the token of a login.
func (r *rig) endForm(id string) url.Values {
	return url.Values{
		"form": {r.admin.formToken("login", id)}, "key": {"k1"}, "sub": {"john"}, "iss": {"https://idp.example.com"}, "client_id": {"app"},
	}
}

// where returns the address of the page to which an answer leads.
func where(w *httptest.ResponseRecorder) string { return w.Result().Header.Get("Location") }
