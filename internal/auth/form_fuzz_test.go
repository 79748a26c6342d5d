package auth

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzHideForm checks that a hidden parameter of a form isn't forwarded, and that every other pair stays byte for byte and in order.
func FuzzHideForm(f *testing.F) {
	for _, seed := range []string{"a=1&token=t%2B1&b=%zz", "token=1&token=2", "%74oken=1&x", "token",
		"&&token=%zz&", "token;=1", "a;token=1", "to+ken=1", "=token", "token==&%00=\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		rest := hidden(t, "application/x-www-form-urlencoded", body)
		if values, _ := url.ParseQuery(rest); values.Has("token") {
			t.Errorf("%q: what goes on has a token: %q", body, rest)
		}
		kept := strings.Split(rest, "&")
		for pair := range strings.SplitSeq(body, "&") {
			name, _, _ := strings.Cut(pair, "=")
			if len(kept) > 0 && kept[0] == pair {
				kept = kept[1:]
			} else if decoded, _ := url.QueryUnescape(name); decoded != "token" {
				t.Errorf("%q: %q is lost in %q", body, pair, rest)
			}
		}
		if len(kept) > 0 && !slices.Equal(kept, []string{""}) {
			t.Errorf("%q: %q was added", body, kept)
		}
	})
}

// FuzzHideJSON checks that a hidden member of a JSON object isn't forwarded, and that every other member stays byte for byte and in order.
// A body that isn't a JSON object stays as it is.
func FuzzHideJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a": [1, 2], "token": "t", "n": 1.0e2}`, `{"token":"1","token":"2"}`, `{"\u0074oken":"1"}`,
		`{"<":1,"token":{},"a\ud800":"\ud800"}`,
		`{ "token" : 1 }`, `{"Token":1}`, `["token"]`, `{"token":"1"} {}`, `{"token":"1"`, `{"token"}`, "\ufeff{}",
		`null`, "{\"\xff\":\"\xff\",\"token\":1}", "{}\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		rest := hidden(t, "application/json", body)
		before, err := textsOf(body)
		if err != nil {
			if rest != body {
				t.Errorf("%q is no JSON object, and becomes %q", body, rest)
			}
			return
		}
		after, err := textsOf(rest)
		before = slices.DeleteFunc(before, func(m [3]string) bool { return m[0] == "token" })
		if err != nil || !slices.Equal(after, before) {
			t.Errorf("%q: %q goes on (%v): got the members %q, expected %q", body, rest, err, after, before)
		}
	})
}

// hidden returns the body that is forwarded without the parameter token.
func hidden(t *testing.T, kind, body string) string {
	r := &Request{Request: httptest.NewRequest("POST", "/", strings.NewReader(body))}
	r.Header.Set("Content-Type", kind)
	form, err := r.Form(int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.HideBody([]string{"token"})
	rest, _ := io.ReadAll(r.Body)
	if form.raw != nil && r.ContentLength != int64(len(rest)) {
		t.Errorf("the length is %d, and %d bytes go on", r.ContentLength, len(rest))
	}
	return string(rest)
}

// textsOf returns the members of a JSON object: the name, and the text of name and value.
func textsOf(body string) (members [][3]string, err error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &object); err != nil || object == nil {
		return nil, io.EOF
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.Token()
	for d.More() {
		start := d.InputOffset()
		name, _ := d.Token()
		text := strings.TrimLeft(body[start:d.InputOffset()], ", \t\r\n")
		var value json.RawMessage
		d.Decode(&value)
		members = append(members, [3]string{name.(string), text, string(value)})
	}
	return members, nil
}
