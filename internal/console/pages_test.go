package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// values are the values of fields, which must be sent back unchanged.
var values = regexp.MustCompile(` value="[^"]*"`)

// TestPages checks every page with texts of strangers: they are escaped, what is invisible is shown, and the headers allow no script.
func TestPages(t *testing.T) {
	r := newRig(t)
	id := r.login()
	end := "end?" + url.Values{"sub": {evil}, "iss": {"https://idp.example.com"}, "client_id": {"app"}, "key": {"k1"}}.Encode()
	for path, status := range map[string]int{
		"": 200, "routes": 200, "keys": 200, "sessions": 200, "sessions?ended=3": 200, "refusals": 200,
		"refusals?find=" + url.QueryEscape(evil): 200,
		"refusal?n=7":                            200, "refusal?n=8": 404, "refusal": 404, "nowhere": 404, "a/b": 404,
		end: 200, "end": 400, "end?sub=john": 400,
		"end?sub=nobody&iss=x": 404, "sessions?page=bad": 400, "sessions?page=away": 503,
	} {
		w := r.get(path, cookie(id))
		body := values.ReplaceAllString(w.Body.String(), "")
		if w.Code != status || strings.Contains(body, "<script>") || strings.ContainsAny(body, "\x1b\u202e") {
			t.Errorf("/console/%s is answered %d:\n%s", path, w.Code, body)
		}
		if strings.Contains(body, "alert(1)") && !strings.Contains(body, `\u{202e}gnp.exe\u{1b}[31m`) {
			t.Errorf("/console/%s doesn't show what is invisible:\n%s", path, body)
		}
		for name, value := range securityHeaders {
			if got := w.Header().Get(name); got != value {
				t.Errorf("/console/%s: %s is %q", path, name, got)
			}
		}
		for _, label := range regexp.MustCompile(`<label for="([^"]+)"`).FindAllStringSubmatch(body, -1) {
			if !strings.Contains(body, `<input id="`+label[1]+`"`) {
				t.Errorf("/console/%s: the label of %s has no field", path, label[1])
			}
		}
		if strings.Count(body, "<th ") != strings.Count(body, `scope="col"`) {
			t.Errorf("/console/%s: a header cell has no scope", path)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") || !strings.HasPrefix(policy, "default-src 'none'") {
		t.Errorf("the policy is %s", policy)
	}
	if got := r.do(request(http.MethodDelete, "sessions", nil, cookie(id))); got.Code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE is answered %d", got.Code)
	}
}

// TestFound checks the search of refusals.
func TestFound(t *testing.T) {
	r := newRig(t)
	for find, found := range map[string]bool{"": true, "id-7": true, "403": true, "roles_required": true, "id": false, "404": false} {
		body := r.get("refusals?find="+find, from("127.0.0.1")).Body.String()
		if strings.Contains(body, "refusal?n=7") != found {
			t.Errorf("%q finds it: %t, want %t", find, !found, found)
		}
	}
}

// TestEnd checks who may end a session, and which forms do.
func TestEnd(t *testing.T) {
	for what, c := range map[string]struct {
		edits  []edit
		change func(url.Values)
		noID   bool
		status int
	}{
		"a login":              {status: 303},
		"all of the user":      {change: func(f url.Values) { f.Del("key"); f.Del("client_id") }, status: 303},
		"a stranger":           {noID: true, status: 401},
		"this machine":         {noID: true, edits: []edit{from("127.0.0.1"), func(q *http.Request) { q.Header.Del("Origin") }}, status: 403},
		"no token in the form": {change: func(f url.Values) { f.Del("form") }, status: 403},
		"another's token":      {change: func(f url.Values) { f.Set("form", "x") }, status: 403},
		"another site":         {edits: []edit{with("Sec-Fetch-Site", "cross-site")}, status: 403},
		"same site":            {edits: []edit{with("Sec-Fetch-Site", "same-site")}, status: 403},
		"another origin":       {edits: []edit{with("Origin", "https://attacker.example.com")}, status: 403},
		"another port":         {edits: []edit{with("Origin", "https://gate.example.com:444")}, status: 403},
		"no origin":            {edits: []edit{func(q *http.Request) { q.Header.Del("Origin") }}, status: 403},
		"an old browser":       {edits: []edit{func(q *http.Request) { q.Header.Del("Sec-Fetch-Site") }}, status: 303},
		"everyone":             {change: func(f url.Values) { f.Del("sub"); f.Del("key") }, status: 400},
		"without issuer":       {change: func(f url.Values) { f.Del("iss") }, status: 400},
		"a route":              {change: func(f url.Values) { f.Set("route", "app") }, status: 400},
		"the store is away":    {change: func(f url.Values) { f.Set("client_id", "away") }, status: 503},
	} {
		r := newRig(t)
		id := r.login()
		form := r.endForm(id)
		if c.change != nil {
			c.change(form)
		}
		if !c.noID {
			c.edits = append(c.edits, cookie(id))
		}
		w := r.post("end", form, c.edits...)
		if w.Code != c.status || (len(r.ended) == 1) != (c.status == 303) {
			t.Errorf("%s: answered %d and ended %+v, want %d", what, w.Code, r.ended, c.status)
		}
		if len(r.ended) == 1 && (r.ended[0].By != Actor{Client: "192.0.2.1:1234"} || r.ended[0].Subject != "john") {
			t.Errorf("%s: ended is %+v", what, r.ended[0])
		}
		if c.status == 303 && where(w) != "sessions?ended=1&iss=https%3A%2F%2Fidp.example.com&sub=john" {
			t.Errorf("%s: it leads to %s", what, where(w))
		}
	}
}

// TestReadersEndNothing checks that somebody who may only read ends nothing, even with a form of this console.
func TestReadersEndNothing(t *testing.T) {
	r := newRig(t)
	q := request("POST", "end", r.endForm(""))
	if err := q.ParseForm(); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r.admin.postEnd(w, q, &visitor{Name: "a reader"})
	if w.Code != http.StatusForbidden || len(r.ended) > 0 {
		t.Errorf("answered %d and ended %v", w.Code, r.ended)
	}
}

// TestGETEndsNothing checks that no address ends a session, nor a login.
func TestGETEndsNothing(t *testing.T) {
	r := newRig(t)
	id := r.login()
	r.get("end?"+r.endForm(id).Encode(), cookie(id))
	r.get("logout?form="+r.admin.formToken("login", id), cookie(id))
	if got := r.get("", cookie(id)); len(r.ended) > 0 || got.Code != 200 {
		t.Errorf("a GET ended %v, and the login is answered %d", r.ended, got.Code)
	}
}

// person sends a request behind a route as a person.
func (r *rig) person(q *http.Request, i *auth.Identity) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	request := &auth.Request{Request: q, Path: q.URL.Path, Origin: "https://gate.example.com"}
	r.admin.Person(w, request, i, "/console")
	return w
}

// TestPerson checks the console behind a route: forms are bound to the person, and what ends is reported with the sub.
func TestPerson(t *testing.T) {
	r := newRig(t)
	john, jane := &auth.Identity{Subject: "john", Issuer: "https://idp"}, &auth.Identity{Subject: "jane", Issuer: "https://idp"}
	for path, status := range map[string]int{"": 200, "sessions": 200, "login": 404, "logout": 404, "x": 404} {
		if got := r.person(request("GET", path, nil), john); got.Code != status {
			t.Errorf("/console/%s is answered %d, want %d", path, got.Code, status)
		}
	}
	bare := request("GET", "", nil)
	bare.URL.Path = "/console"
	if got := r.person(bare, john); where(got) != "./console/" {
		t.Errorf("the base leads to %q", where(got))
	}
	if got := r.person(request("GET", "", nil), &auth.Identity{Issuer: "https://idp"}); got.Code != 403 {
		t.Errorf("a login without sub is answered %d", got.Code)
	}
	form := r.endForm("")
	form.Set("form", r.admin.formToken("person", "https://idp", "john", ""))
	if got := r.person(request("POST", "end", form), jane); got.Code != 403 || len(r.ended) > 0 {
		t.Errorf("john's form, sent by jane, is answered %d", got.Code)
	}
	if got := r.person(request("POST", "end", form, with("Origin", "http://gate.example.com")), john); got.Code != 403 {
		t.Errorf("a form of another origin is answered %d", got.Code)
	}
	got := r.person(request("POST", "end", form), john)
	if got.Code != 303 || len(r.ended) != 1 || r.ended[0].By != (Actor{Client: "unknown", Issuer: "https://idp", Subject: "john"}) {
		t.Errorf("john's form is answered %d and ends %+v", got.Code, r.ended)
	}
}
