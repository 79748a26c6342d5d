package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/balance"
)

// cookieTargets starts a gate with load_balancing: cookie in front of three targets, which set a cookie of the gate's name and answer with
// their name and the cookies that they receive.
func cookieTargets(t *testing.T, change func(*Route, *Config)) *httptest.Server {
	t.Helper()
	var servers []string
	for _, name := range []string{"a", "b", "c"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Set-Cookie", "sallyport_affinity=mine; Path=/")
			w.Header().Add("Set-Cookie", "__Host-sallyport_affinity=mine; Path=/; Secure")
			w.Header().Add("Set-Cookie", "own=1")
			fmt.Fprint(w, name, r.Header["Cookie"])
		}))
		t.Cleanup(s.Close)
		servers = append(servers, s.URL)
	}
	s := UpstreamSettings{BalanceSettings: BalanceSettings{LoadBalancing: balance.Cookie}}
	front, _ := startTargets(t, s, change, servers...)
	return front
}

// TestAffinityCookie checks the cookie on http and https: its attributes, that a browser with it stays at its target, and that targets
// neither receive it nor set it.
func TestAffinityCookie(t *testing.T) {
	for origin, want := range map[string]string{
		"http://app.example":  `^sallyport_affinity=([A-Za-z0-9_-]{16}); Path=/; HttpOnly; SameSite=Lax$`,
		"https://app.example": `^__Host-sallyport_affinity=([A-Za-z0-9_-]{16}); Path=/; HttpOnly; SameSite=Lax; Secure$`,
	} {
		front := cookieTargets(t, func(r *Route, _ *Config) { r.Origin = origin })
		used := map[string]bool{}
		for range 80 {
			res, first := get(t, front, "/off", "Cookie", "theirs=1")
			lines := res.Header["Set-Cookie"]
			if len(lines) != 2 || lines[0] != "own=1" || !regexp.MustCompile(want).MatchString(lines[1]) ||
				res.Header.Get("Cache-Control") != "private, no-store" {
				t.Fatalf("%s: %q, %q", origin, lines, res.Header.Get("Cache-Control"))
			}
			used[first] = true
			cookie, _, _ := strings.Cut(lines[1], ";")
			for range 3 {
				res, next := get(t, front, "/off", "Cookie", "theirs=1; "+cookie)
				if next != first || len(res.Header["Set-Cookie"]) != 1 {
					t.Fatalf("%s: from %s to %s, %q", origin, first, next, res.Header["Set-Cookie"])
				}
			}
		}
		if len(used) != 3 {
			t.Errorf("80 new browsers got %v", used)
		}
		for target := range used {
			if !strings.HasSuffix(target, "[theirs=1]") {
				t.Errorf("a target receives %s", target)
			}
		}
	}
}

// TestForgedAffinity checks that a value which the gate would not make is replaced, and that without the policy there is no cookie.
func TestForgedAffinity(t *testing.T) {
	front := cookieTargets(t, nil)
	for _, value := range []string{"", "a", "http://a", strings.Repeat("A", 15), strings.Repeat("A", 17), strings.Repeat("A", 4000)} {
		if res, _ := get(t, front, "/off", "Cookie", "sallyport_affinity="+value); len(res.Header["Set-Cookie"]) != 2 {
			t.Errorf("%.20q is taken: %q", value, res.Header["Set-Cookie"])
		}
	}
	plain, _ := startTargets(t, UpstreamSettings{}, nil, named(t, "a").URL, named(t, "b").URL)
	if res, _ := get(t, plain, "/off"); len(res.Header["Set-Cookie"]) != 0 {
		t.Errorf("without the policy: %q", res.Header["Set-Cookie"])
	}
}
