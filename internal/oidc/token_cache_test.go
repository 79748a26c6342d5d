package oidc

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// TestMemoryOfTokens checks that a verified token of 1 KB costs about 2 KB, although net/http has it in a string with the other headers of
// its request, and that the identity has the token nevertheless.
func TestMemoryOfTokens(t *testing.T) {
	const tokens, most = 1000, 2700
	p, c, now := begin(t, nil)
	takes := func(auth.Claims) bool { return true }
	claims := good(p, now.Now())
	claims["realm_access"] = map[string]any{"roles": []string{"default", "offline_access", "admin"}}
	claims["padding"] = strings.Repeat("x", 250)
	var headers []string
	for i := range tokens {
		claims["jti"] = strconv.Itoa(i)
		headers = append(headers, "Authorization: Bearer "+p.SignJWT(claims)+"\r\nCookie: "+strings.Repeat("c", 4<<10))
	}
	tokenIn := func(header string) string {
		line, _, _ := strings.Cut(header, "\r\n")
		return strings.TrimPrefix(line, "Authorization: Bearer ")
	}
	full := liveBytes()
	for range 2 {
		for _, header := range headers {
			i, err := ProveAccessToken(t.Context(), tokenIn(header), []*Issuer{c.issuer}, takes)
			if err != nil || i.Tokens.AccessToken != tokenIn(header) {
				t.Fatalf("%v: the identity has another token", err)
			}
		}
	}
	size := 0
	for _, header := range headers {
		size += len(header)
	}
	clear(headers)
	kept := liveBytes() + uint64(size) - full
	runtime.KeepAlive(c)
	if kept/tokens > most {
		t.Errorf("a token takes %d bytes, expected %d at most", kept/tokens, most)
	}
	t.Logf("a token takes %d bytes", kept/tokens)
}

// liveBytes returns the size of all objects that are in use.
func liveBytes() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
