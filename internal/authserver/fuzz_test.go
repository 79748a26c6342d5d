package authserver

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// FuzzParseParams checks that any body is refused, or read as net/url reads it and without repeated parameters.
func FuzzParseParams(f *testing.F) {
	for _, seed := range []string{"", "grant_type=client_credentials", "a=1&a=2",
		"a=&a=", "a;b", "%zz=1", "a=%00", "a=%ff", "=x", "a=b=c", "&&", "scope=read+write&code=%73"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		p, err := parseParams(encoded)
		values, errURL := url.ParseQuery(encoded)
		if err == nil && errURL != nil {
			t.Fatalf("%q is read though it can't be", encoded)
		}
		for name, value := range p {
			if list := values[name]; len(list) != 1 || list[0] != value || value == "" || strings.ContainsRune(value, 0) {
				t.Errorf("%q: %q is %q, and stands there as %q", encoded, name, value, list)
			}
		}
	})
}

// FuzzTokenRequest checks that any request without valid credentials gets an error.
func FuzzTokenRequest(f *testing.F) {
	i, err := New(Config{Settings: usual(), Log: discard})
	if err != nil {
		f.Fatal(err)
	}
	token := i.at(base, nil).Endpoints()[0]
	f.Add("Basic YXBwOnNlY3JldA==", "grant_type=client_credentials")
	f.Add("", "grant_type=authorization_code&code=sp_c_x&client_id=spa&code_verifier="+verifier)
	f.Add("", "grant_type=refresh_token&refresh_token=sp_r_"+strings.Repeat("a", 71)+"&client_id=spa")
	f.Add("Basic Zmlyc3QrcGFydHk6Og==", "grant_type=%")
	f.Fuzz(func(t *testing.T, authorization, body string) {
		r := httptest.NewRequest(http.MethodPost, token.Path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		res, err := token.ServeUser(&auth.Request{Request: r, Origin: origin, Path: token.Path}, visit{gate: &gate{}})
		if err != nil || res.Answer.Status < 400 || res.Answer.Status >= 500 || !strings.Contains(string(res.Answer.Body), `"error":`) {
			t.Errorf("got %+v, %v", res, err)
		}
	})
}
