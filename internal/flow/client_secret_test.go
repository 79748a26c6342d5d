package flow

import (
	"slices"
	"testing"

	"sallyport/internal/auth"
)

// TestSpellings: a pair is tried in each of its possible readings, and once only if they are equal or one was accepted
// before.
func TestSpellings(t *testing.T) {
	s := basicEncodings{newBasicClients([]byte("key"))}
	basic := func(name, secret string) pair { return pair{name: name, secret: auth.Secret(secret), basic: true} }
	for _, c := range []struct {
		in    pair
		known bool // it was accepted unencoded
		want  []string
	}{
		{in: basic("app", "secret"), want: []string{"app:secret"}},
		{in: basic("app", "100%"), want: []string{"app:100%"}},
		{in: basic("app", "a%2Bb"), want: []string{"app:a+b", "app:a%2Bb"}},
		{in: basic("app", "a%20b"), known: true, want: []string{"app:a%20b", "app:a b"}},
		{in: basic("app", "q+w/e=="), want: []string{"app:q+w/e==", "app:q w/e=="}},
		{in: basic("urn%3Aapp", "secret"), want: []string{"urn:app:secret", "urn%3Aapp:secret"}},
		{in: pair{name: "app", secret: "a%2Bb"}, want: []string{"app:a%2Bb"}},
	} {
		if c.known {
			s.unencoded.remember(c.in)
		}
		var got []string
		for _, p := range s.candidates(c.in) {
			got = append(got, p.name+":"+string(p.secret))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:%s is tried as %q, expected %q", c.in.name, c.in.secret, got, c.want)
		}
	}
}
