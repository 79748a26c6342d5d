package flow

import (
	"net/url"
	"strings"

	"sallyport/internal/auth"
)

// basicEncodings cache which Basic credentials clients send unencoded, so that each request causes only one token request.
type basicEncodings struct{ unencoded *basicClients }

// candidates returns the readings of a client's name and secret, the likelier first. In Basic both should be form-encoded
// (RFC 6749 §2.3.1), but many clients send them unencoded. A pair that decoding changes may mean either.
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
	// A client that encodes sends %2B for a +, so without a % the credentials are unencoded.
	if s.unencoded.isClient(p) || !strings.Contains(p.name+string(p.secret), "%") {
		return []pair{p, decoded}
	}
	return []pair{decoded, p}
}
