package flow

import (
	"net/url"
	"strings"

	"sallyport/internal/auth"
)

// spellings remember which client's credentials came as they are, so that the authorization server isn't asked twice each time.
type basicEncodings struct{ unencoded *basicClients }

// of returns the ways to read a client's name and secret, the likelier first. In a Basic header both are form-encoded (RFC 6749
// §2.3.1), and many clients send them as they are: a pair that is another one when it is decoded may be meant either way.
func (s basicEncodings) candidates(p pair) []pair {
	if !p.basic {
		return []pair{p}
	}
	name, errName := url.QueryUnescape(p.name)
	secret, errSecret := url.QueryUnescape(string(p.secret))
	if errName != nil || errSecret != nil || name == p.name && secret == string(p.secret) {
		return []pair{p}
	}
	decoded := p
	decoded.name, decoded.secret = name, auth.Secret(secret)
	// who encodes a + writes %2B: without a % the + is one
	if s.unencoded.isClient(p) || !strings.Contains(p.name+string(p.secret), "%") {
		return []pair{p, decoded}
	}
	return []pair{decoded, p}
}
