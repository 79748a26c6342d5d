package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
)

// errBadSignature says that no key of the issuer verifies a signature.
var errBadSignature = errors.New("no key of the issuer verifies the signature")

// An origin says where a JWT comes from.
type origin int

const (
	fromRequest origin = iota // a client sent it: anyone can write one
	fromIssuer                // the issuer sent it in a response
	fromLogout                // a logout token that passed all other checks: most likely the issuer sent it
	origins                   // the number of origins
)

// signatureRules say how the signature of a JWT is verified.
type signatureRules struct {
	algorithms []string
	insecure   bool // the signature isn't verified: only where a setting says so
	origin     origin
	mayPass    func(auth.Claims) bool // reports whether later checks may accept the token; nil: they may. Else it causes no fetch of keys.
}

// A verifiedBy says what verified a signature. It is zero after verification by a shared secret, and without verification.
type verifiedBy struct {
	jwk    string  // the key, as it was published
	issuer string  // the key's member issuer
	set    *keySet // the set that has the key
}

// algorithms returns the algorithms of all tokens but ID tokens and logout tokens.
func (i *Issuer) algorithms() []string {
	if own := i.settings.TokenSigningAlgs; len(own) > 0 {
		return own
	}
	if len(i.secrets) > 0 {
		return slices.Concat(asymmetric, symmetric)
	}
	return asymmetric
}

// verifySignature verifies the signature of t with the issuer's keys. The caller has checked the claims before: keys are fetched only for a
// token that would pass. The error wraps ErrUnavailable if the keys can't be fetched.
func (i *Issuer) verifySignature(ctx context.Context, t *jwt, r signatureRules) (verifiedBy, error) {
	if r.insecure {
		return verifiedBy{}, nil
	}
	alg := t.jws.Signatures[0].Header.Algorithm
	if !hasAlgorithm(r.algorithms, alg) {
		return verifiedBy{}, fmt.Errorf("its alg is %q, expected %s", clip(alg), strings.Join(r.algorithms, ", "))
	}
	if slices.Contains(symmetric, alg) {
		return verifiedBy{}, verifyWithSecret(t.jws, i.secrets)
	}
	set, err := i.keys.get(ctx)
	if err != nil {
		return verifiedBy{}, err
	}
	by, err := set.verify(t.jws, nil)
	if err != nil && (r.mayPass == nil || r.mayPass(t.claims)) {
		by, err = i.keys.verifyRenewed(ctx, t.jws, r.origin, set)
	}
	if err != nil || by.issuer == "" {
		return by, err
	}
	m, err := i.Metadata(ctx)
	if err != nil {
		return verifiedBy{}, err
	}
	return by, i.checkKeyTenant(t.claims.String("iss"), by.issuer, m)
}

// maxRenewals is how often the keys are renewed for one token: once by a fetch that may have begun before the issuer published its new key,
// and once by a fetch that the token causes.
const maxRenewals = 2

// verifyRenewed verifies a signature that the set tried does not verify, with keys that are newer.
func (k *keyStore) verifyRenewed(ctx context.Context, jws *jose.JSONWebSignature, from origin, tried *keySet) (verifiedBy, error) {
	for range maxRenewals {
		set, own, errFetch := k.renewed(ctx, from, tried)
		if set == nil { // the keys were dropped meanwhile
			return verifiedBy{}, first(errFetch, ErrUnavailable)
		}
		if set != tried {
			if by, err := set.verify(jws, tried); err == nil {
				return by, nil
			}
		}
		if errFetch != nil {
			return verifiedBy{}, errFetch
		}
		if own || set == tried {
			break
		}
		tried = set
	}
	return verifiedBy{}, errBadSignature
}

// verifyWithSecret verifies an HMAC signature by the secrets that may have made it.
func verifyWithSecret(jws *jose.JSONWebSignature, secrets []auth.Secret) error {
	for _, s := range secrets {
		if _, err := jws.Verify([]byte(s)); err == nil {
			return nil
		}
	}
	return errBadSignature
}
