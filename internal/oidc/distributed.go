package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"sallyport/internal/auth"
)

// maxSources bounds the claim sources that one claim set may name: each can be a call.
const maxSources = 8

// HasElsewhere reports whether some of a claim set's claims are elsewhere (OIDC Core §5.6.2).
func HasElsewhere(claims auth.Claims) bool { return claims["_claim_names"] != nil }

// ResolveClaims returns claims with those added that _claim_names says are elsewhere (OIDC Core §5.6.2): in a JWT beside
// them, or at an endpoint. Claims that are there already stay, and a source counts only if this issuer's keys have signed
// it: nobody else's word is taken. What can't be had is left out; the error says what and why, and doesn't spoil the rest.
func (c *Client) ResolveClaims(ctx context.Context, claims auth.Claims, by Caller) (auth.Claims, error) {
	sources, err := json.Marshal([]any{claims["_claim_names"], claims["_claim_sources"]})
	if err != nil {
		return claims, err
	}
	more, err := c.resolved.Get(ctx, c.key([]string{"distributed", claims.String("sub"), string(sources)}, Extra{}), func(ctx context.Context) (auth.Claims, time.Time, error) {
		return c.resolve(ctx, claims, by)
	})
	var partial *partialError
	if errors.As(err, &partial) {
		more = partial.found
	}
	if len(more) == 0 {
		return claims, err
	}
	all := maps.Clone(more)
	maps.Copy(all, claims)
	return all, err
}

// A partialError says which sources could not be had; the others' claims are in it. It isn't kept.
type partialError struct {
	found auth.Claims
	err   error
}

func (e *partialError) Error() string { return e.err.Error() }
func (e *partialError) Unwrap() error { return e.err }

// resolve returns the claims that are elsewhere, and when the first of their sources expires; zero if none does.
func (c *Client) resolve(ctx context.Context, claims auth.Claims, by Caller) (more auth.Claims, expires time.Time, err error) {
	names, _ := claims["_claim_names"].(map[string]any)
	sources, _ := claims["_claim_sources"].(map[string]any)
	bySource := map[string][]string{}
	for name, source := range names {
		if s, ok := source.(string); ok && claims[name] == nil {
			bySource[s] = append(bySource[s], name)
		}
	}
	if len(bySource) > maxSources {
		return nil, expires, fmt.Errorf("_claim_names names %d sources, and %d are the most", len(bySource), maxSources)
	}
	more = auth.Claims{}
	var errs []error
	for _, source := range slices.Sorted(maps.Keys(bySource)) {
		found, err := c.claimSource(ctx, sources[source], claims.String("sub"), by)
		if err != nil {
			errs = append(errs, fmt.Errorf("the claim source %q: %w", clip(source), err))
			continue
		}
		if exp, _ := found.Time("exp"); !exp.IsZero() && (expires.IsZero() || exp.Before(expires)) {
			expires = exp
		}
		for _, name := range bySource[source] {
			if v, ok := found[name]; ok {
				more[name] = v
			}
		}
	}
	if len(errs) > 0 {
		return nil, expires, &partialError{more, errors.Join(errs...)}
	}
	return more, expires, nil
}

// claimSource returns the claims of one source, aggregated (JWT) or distributed (endpoint), about whom sub is. A source needs
// no iss, sub or exp, but what it says of them counts: without iss the keys of this issuer that verify it say whose it is.
func (c *Client) claimSource(ctx context.Context, source any, sub string, by Caller) (auth.Claims, error) {
	s, _ := source.(map[string]any)
	jwt, _ := s["JWT"].(string)
	if endpoint, ok := s["endpoint"].(string); ok && jwt == "" {
		leave, err := c.issuer.calls.admit(ctx, by.Address)
		if err != nil {
			return nil, err
		}
		token, _ := s["access_token"].(string)
		jwt, err = c.fetchClaims(ctx, endpoint, token)
		leave(false) // the issuer has named the endpoint
		if err != nil {
			return nil, err
		}
	}
	t, err := readIssued(jwt)
	if err != nil {
		return nil, err
	}
	if err := c.checkSource(ctx, t.claims, sub); err != nil {
		return nil, err
	}
	_, err = c.issuer.prove(ctx, t, proof{algs: asymmetric, from: fromIssuer}) // the issuer has named the source
	return t.claims, err
}

// checkSource judges what a source says of itself.
func (c *Client) checkSource(ctx context.Context, claims auth.Claims, sub string) error {
	if claims["iss"] != nil {
		m, err := c.issuer.Metadata(ctx)
		if err != nil {
			return err
		}
		if err := c.issuer.checkIssuer(claims, m); err != nil {
			return err
		}
	}
	if about, given := claims["sub"]; given && about != sub {
		return errors.New("sub: it is about somebody else")
	}
	if claims["exp"] == nil {
		return nil
	}
	_, _, err := c.issuer.checkTimes(claims)
	return err
}

// fetchClaims asks an endpoint that a claim names: with TLS wherever the issuer is reached with it.
func (c *Client) fetchClaims(ctx context.Context, endpoint, token string) (string, error) {
	if err := c.issuer.checkEndpoint(endpoint); err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Accept", "application/jwt")
	a, err := c.issuer.do(c.issuer.http, r)
	if err != nil {
		return "", err
	}
	if a.status != http.StatusOK {
		return "", fmt.Errorf("%w: expected 200, got %d", ErrUnavailable, a.status)
	}
	return a.jwt(), nil
}
