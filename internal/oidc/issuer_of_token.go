package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrIssuer says that the route accepts no tokens of a token's issuer.
var ErrIssuer = errors.New("token_issuer")

// IssuerOfToken returns the index of the group that has the issuer of a token which is a JWT. It finds the issuer in the cache, else by the
// token's unverified iss. It doesn't verify the token.
func IssuerOfToken(ctx context.Context, token string, groups [][]*Issuer) (int, error) {
	sum := sumOf(token)
	for n, issuers := range groups {
		if slices.ContainsFunc(issuers, func(i *Issuer) bool { _, ok := i.keys.tokens.GetIfPresent(sum); return ok }) {
			return n, nil
		}
	}
	iss, err := unverifiedIssuer(token)
	if err != nil {
		return 0, err
	}
	i, err := IssuerNamed(ctx, iss, slices.Concat(groups...))
	if err != nil {
		return 0, err
	}
	return slices.IndexFunc(groups, func(issuers []*Issuer) bool { return slices.Contains(issuers, i) }), nil
}

// IssuerNamed returns the issuer that accepts tokens with this iss. The error wraps ErrUnavailable if the metadata of one of the issuers
// can't be fetched and no other accepts iss: that one may be named differently from its URL.
func IssuerNamed(ctx context.Context, iss string, issuers []*Issuer) (*Issuer, error) {
	if iss == "" {
		return nil, fmt.Errorf("%w: iss is missing", ErrIssuer)
	}
	var unavailable error
	for _, i := range issuers {
		m, err := i.Metadata(ctx)
		switch {
		case err != nil && i.url == iss:
			return nil, err
		case err != nil:
			unavailable = err
		case i.acceptsIssuer(iss, m):
			return i, nil
		}
	}
	if unavailable != nil {
		return nil, unavailable
	}
	return nil, fmt.Errorf("%w: iss: %q is none of this route's issuers", ErrIssuer, clip(iss))
}
