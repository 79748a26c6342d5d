package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sallyport/internal/auth"
)

// ErrIssuer says that a token is of an issuer that the route doesn't know.
var ErrIssuer = errors.New("token_issuer")

// ProveAccessToken is AccessToken for a route that takes the tokens of several issuers. The token's own iss chooses one,
// before any key is touched: one issuer's key never proves another's token. mayPass reports whether the route takes a token's
// audience, which the caller judges later; nil takes all.
func ProveAccessToken(ctx context.Context, token string, issuers []*Issuer, mayPass func(auth.Claims) bool) (*auth.Identity, error) {
	if len(issuers) == 1 {
		return issuers[0].presented(ctx, token, mayPass)
	}
	k := sum(token)
	for _, i := range issuers {
		if v, ok := i.tokens.get(k); ok {
			return v.Identity, i.CheckValidity(v.Identity.Tokens.Expiry, v.NotBefore)
		}
	}
	iss, err := peekIssuer(token)
	if err != nil {
		return nil, err
	}
	i, err := byName(ctx, iss, issuers)
	if err != nil {
		return nil, err
	}
	return i.presented(ctx, token, mayPass)
}

// IssuerOfToken returns the index of the group that has the issuer whose JWT a token says it is: by what is kept of it, else
// by its unverified iss. The issuer's own keys prove it then, or don't.
func IssuerOfToken(ctx context.Context, token string, groups [][]*Issuer) (int, error) {
	k := sum(token)
	for n, issuers := range groups {
		if slices.ContainsFunc(issuers, func(i *Issuer) bool { _, ok := i.tokens.get(k); return ok }) {
			return n, nil
		}
	}
	iss, err := peekIssuer(token)
	if err != nil {
		return 0, err
	}
	i, err := byName(ctx, iss, slices.Concat(groups...))
	if err != nil {
		return 0, err
	}
	return slices.IndexFunc(groups, func(issuers []*Issuer) bool { return slices.Contains(issuers, i) }), nil
}

// byName is the issuer that takes this iss. One whose metadata can't be had might be it under another name than its URL, so
// then nobody knows.
func byName(ctx context.Context, iss string, issuers []*Issuer) (*Issuer, error) {
	var away error
	for _, i := range issuers {
		m, err := i.Metadata(ctx)
		switch {
		case err != nil && i.url == iss:
			return nil, err
		case err != nil:
			away = err
		case i.acceptsIssuer(iss, m):
			return i, nil
		}
	}
	if away != nil {
		return nil, away
	}
	return nil, fmt.Errorf("%w: iss: %q is none of this route's issuers", ErrIssuer, clip(iss))
}

// peekIssuer reads the unverified iss.
func peekIssuer(token string) (string, error) {
	claims, err := readPayload(token)
	if err != nil {
		return "", err
	}
	iss := claims.String("iss")
	if iss == "" {
		return "", fmt.Errorf("%w: iss is missing", ErrIssuer)
	}
	return iss, nil
}
