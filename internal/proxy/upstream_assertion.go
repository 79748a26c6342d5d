package proxy

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// AssertionSettings are the settings of the JWT by which the gate proves to the upstream what it says of the user.
type AssertionSettings struct {
	UpstreamAssertionHeader string   `yaml:"upstream_assertion_header"`
	UpstreamAssertionIssuer string   `yaml:"upstream_assertion_issuer"` // iss: the gate's own name
	UpstreamAssertionClaims []string `yaml:"upstream_assertion_claims"` // top-level claims of the identity that are copied
}

// A KeySource returns the private key that the gate generated, and publishes, for signatures by alg.
type KeySource func(alg string) (*jose.JSONWebKey, error)

const (
	// AssertionAlg is the algorithm of assertions for the upstream.
	AssertionAlg = "ES256"

	assertionLifetime = time.Minute

	// assertionType keeps assertions apart from other JWTs by the same key, such as the gate's client assertions (RFC 8725 §3.11).
	assertionType = "upstream-assertion+jwt"
)

// assertionClaims are the claims that the gate itself sets.
var assertionClaims = []string{"iss", "aud", "sub", "sub_id", "jti", "iat", "nbf", "exp", "cnf"}

func (s *AssertionSettings) check(c check.Checker) {
	const header, issuer, claims = "upstream_assertion_header", "upstream_assertion_issuer", "upstream_assertion_claims"
	if s.UpstreamAssertionHeader == "" {
		for _, key := range []string{issuer, claims} {
			c.Must(key, !c.IsSet(key), "no assertion is sent: add upstream_assertion_header, or take it out")
		}
		return
	}
	c.Must(header, s.UpstreamAssertionIssuer != "",
		"the upstream must know who signs: add upstream_assertion_issuer, the gate's own name, such as https://gate.example.com")
	c.Each(claims, s.UpstreamAssertionClaims, func(name string) error {
		if name == "" || slices.Contains(assertionClaims, name) {
			return errors.New("the gate sets it itself: take it out")
		}
		return nil
	})
}

// assert makes the assertion of a request with an identity, if the route sends one (RFC 7519). The subject is an identifier at the issuer
// that proved it, which sub_id names (RFC 9493 §3.2.4). An error is the refusal: the upstream expects the assertion.
func (d *Decision) assert(now time.Time) error {
	s, i := &d.view().Headers.AssertionSettings, d.Identity
	if s.UpstreamAssertionHeader == "" || i == nil {
		return nil
	}
	claims := map[string]any{}
	for _, name := range s.UpstreamAssertionClaims {
		if v, found := i.Lookup([]string{name}); found {
			claims[name] = v
		}
	}
	claims["iss"], claims["aud"], claims["jti"] = s.UpstreamAssertionIssuer, d.audience(), rand.Text()
	claims["iat"], claims["exp"] = now.Unix(), now.Add(assertionLifetime).Unix()
	if i.Subject != "" {
		claims["sub"] = i.Subject
		claims["sub_id"] = map[string]any{"format": "iss_sub", "iss": i.Issuer, "sub": i.Subject}
	}
	key, err := d.Route.Keys(AssertionAlg)
	if err != nil {
		return auth.Unavailable("keys_unavailable", err)
	}
	d.assertion, err = sign(key, claims)
	return err
}

// audience returns the origin of the upstream's first target, for a Unix socket its address, or, if another proxy forwards the request,
// the origin that the client asked.
func (d *Decision) audience() string {
	if d.Route.Upstream == nil {
		return d.Origin
	}
	first := d.Route.Upstream.targets[0]
	if first.host == "" {
		return first.state.Name
	}
	return first.url.Scheme + "://" + first.url.Host
}

func sign(key *jose.JSONWebKey, claims map[string]any) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: AssertionAlg, Key: key}, (&jose.SignerOptions{}).WithType(assertionType))
	if err != nil {
		return "", fmt.Errorf("upstream_assertion_header: %w", err)
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}
