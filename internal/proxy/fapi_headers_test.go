package proxy

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sallyport/internal/check"
)

// TestInteractionID checks that the client, the upstream and the log get one ID: the client's, if it is a UUID, or else a new one.
func TestInteractionID(t *testing.T) {
	front, log := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(interactionHeader, "of the upstream")
		io.WriteString(w, r.Header.Get(interactionHeader))
	}, func(r *Route, c *Config) { r.Responses.InteractionID = true })
	const sent = "c770aef3-6784-41f7-8e0e-ff5f97bddb3a"
	for name, c := range map[string]struct {
		sent  []string
		token string
		kept  bool
	}{
		"none":         {nil, "Bearer good", false},
		"a UUID":       {[]string{sent}, "Bearer good", true},
		"of a refusal": {[]string{sent}, "Bearer bad", true},
		"no UUID":      {[]string{strings.Repeat("x", 36)}, "Bearer good", false},
		"in braces":    {[]string{"{" + sent + "}"}, "Bearer good", false},
		"two":          {[]string{sent, sent}, "Bearer good", false},
	} {
		r, _ := http.NewRequest("GET", front.URL+"/", nil)
		r.Header["Authorization"], r.Header[interactionHeader] = []string{c.token}, c.sent
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		got := res.Header.Values(interactionHeader)
		switch {
		case len(got) != 1 || !check.IsUUID(got[0]) || (got[0] == sent) != c.kept:
			t.Errorf("%s: the client got %q", name, got)
		case c.token == "Bearer good" && string(body) != got[0]:
			t.Errorf("%s: the upstream got %q, the client %q", name, body, got)
		case !strings.Contains(log.String(), `"fapi_interaction_id":"`+got[0]):
			t.Errorf("%s: the log has no %s:\n%s", name, got[0], log)
		}
	}
}

// TestHSTS checks that the gate's own answers over https have Strict-Transport-Security, and no others.
func TestHSTS(t *testing.T) {
	front, _ := start(t, func(http.ResponseWriter, *http.Request) {}, func(r *Route, c *Config) {
		r.Responses.HSTSMaxAge = time.Hour
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	for _, c := range []struct{ proto, token, want string }{
		{"https", "Bearer bad", "max-age=3600"}, {"http", "Bearer bad", ""}, {"https", "Bearer good", ""},
	} {
		r, _ := http.NewRequest("GET", front.URL+"/", nil)
		r.Header = http.Header{"Authorization": {c.token}, "X-Forwarded-Proto": {c.proto}, "X-Forwarded-For": {"192.0.2.1"}}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Strict-Transport-Security"); got != c.want {
			t.Errorf("%s, %s: got %q, expected %q", c.proto, c.token, got, c.want)
		}
	}
}
