package proxy

import (
	"crypto/rand"
	"encoding/base64"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/balance"
)

// affinityCookie is the name of the cookie that keeps a browser at one target (load_balancing: cookie). On https it has the prefix __Host-.
const affinityCookie = "sallyport_affinity"

// affinityBytes is the length of its value, which is random and says nothing of the target: with the same value and the same targets,
// every replica of the gate makes the same choice.
const affinityBytes = 12

// cookieNames returns the names of the cookies that the gate sets for an upstream.
func (u *Upstream) cookieNames() []string {
	if u == nil || u.policy != balance.Cookie {
		return nil
	}
	return []string{affinityCookie, "__Host-" + affinityCookie}
}

// setAffinity reads the value of the affinity cookie, or makes a new one for the response.
func (d *Decision) setAffinity() {
	if d.Route.Upstream.cookieNames() == nil || d.preflight {
		return
	}
	name, attributes := affinityCookie, "; Path=/; HttpOnly; SameSite=Lax"
	if strings.HasPrefix(d.Origin, "https://") {
		name, attributes = "__Host-"+name, attributes+"; Secure"
	}
	for _, value := range d.CookieValues(name) {
		if isAffinity(value) {
			d.affinity = value
			return
		}
	}
	value := make([]byte, affinityBytes)
	rand.Read(value)
	d.affinity = base64.RawURLEncoding.EncodeToString(value)
	d.Header = auth.MergeHeader(d.Header.Clone(), map[string][]string{"Set-Cookie": {name + "=" + d.affinity + attributes}})
}

// isAffinity reports whether a cookie's value is one that setAffinity makes.
func isAffinity(value string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	return err == nil && len(b) == affinityBytes
}
