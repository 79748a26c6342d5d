package authserver

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// A client without a consent page gets a code only if the browser navigates to the endpoint. A script, an image or a prefetch gets none,
// and a frame gets one only with prompt=none.
func TestNoCodeBehindTheUsersBack(t *testing.T) {
	g := memoryRig(t).gate()
	asked := form("response_type", "code", "client_id", "first party", "code_challenge",
		challengeOf(verifier), "code_challenge_method", "S256")
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
