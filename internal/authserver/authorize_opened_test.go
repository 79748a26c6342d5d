package authserver

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// A client that needs no consent, or has it, gets a code by a page that a browser opens: no script, picture or prefetch causes
// one, and a frame only where the client asks silently.
func TestNoCodeBehindTheUsersBack(t *testing.T) {
	g := memoryRig(t).gate()
	asked := form("response_type", "code", "client_id", "first party", "code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
	for _, c := range []struct {
		mode, dest, purpose, prompt string
		code                        bool
	}{
		{"", "", "", "", true},
		{"navigate", "document", "", "", true},
		{"navigate", "document", "", "none", true},
		{"navigate", "iframe", "", "none", true},
		{"navigate", "iframe", "", "", false},
		{"navigate", "iframe", "prefetch", "none", false},
		{"navigate", "document", "prefetch;prerender", "", false},
		{"", "", "prefetch", "", false},
		{"cors", "empty", "", "", false},
		{"cors", "empty", "", "none", false},
		{"no-cors", "image", "", "none", false},
		{"no-cors", "script", "", "", false},
	} {
		res, err := g.serve("authorize", http.MethodGet, with(asked, "prompt", c.prompt).Encode(), "",
			header("Sec-Fetch-Mode", c.mode), header("Sec-Fetch-Dest", c.dest), header("Sec-Purpose", c.purpose))
		if code := err == nil && strings.Contains(res.Answer.Header.Get("Location"), "code="); code != c.code {
			t.Errorf("%+v: a code is %v: %v", c, code, err)
		}
		if refused := (*auth.Error)(nil); !c.code && (!errors.As(err, &refused) || refused.Reason != "oauth2_authorization_request") {
			t.Errorf("%+v: refused with %v", c, err)
		}
	}
}
