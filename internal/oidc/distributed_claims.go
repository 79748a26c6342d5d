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

// maxSources bounds the claim sources of one claim set, because each may cost a request.
const maxSources = 8

// HasDistributed reports whether a claim set refers to aggregated or distributed claims (OIDC Core §5.6.2).
func HasDistributed(claims auth.Claims) bool { return claims["_claim_names"] != nil }

// ResolveClaims returns claims with their aggregated and distributed claims added (OIDC Core §5.6.2): those of a JWT in the claim set, or
// at an endpoint. It doesn't replace claims. A source must be signed with this issuer's keys. With groups_overage_endpoint, accessToken is
// the access token of the login, or "". ResolveClaims returns the claims of the other sources even if one fails; then the error says which
// and why.
func (c *Client) ResolveClaims(ctx context.Context, claims auth.Claims, accessToken string, by Caller) (auth.Claims, error) {
	sources, err := json.Marshal([]any{claims["_claim_names"], claims["_claim_sources"]})
	if err != nil {
		return claims, err
	}
	if c.settings.GroupsOverageEndpoint == "" {
		accessToken = ""
	}
	key := c.cacheKey([]string{"distributed", claims.String("sub"), string(sources), accessToken}, Extra{})
	more, err := c.caches.distributed.Get(ctx, key, func(ctx context.Context) (auth.Claims, time.Time, error) {
		return c.resolve(ctx, claims, accessToken, by)
	})
	var partial *partialError
	if errors.As(err, &partial) {
		more = partial.claims
	}
	if len(more) == 0 {
		return claims, err
	}
	all := maps.Clone(more)
	maps.Copy(all, claims)
	return all, err
}

// A partialError says which sources failed, and has the claims of the others. It isn't cached.
type partialError struct {
	claims auth.Claims
	err    error
}

func (e *partialError) Error() string { return e.err.Error() }
func (e *partialError) Unwrap() error { return e.err }

// resolve returns the aggregated and distributed claims, and the earliest expiry of their sources; zero if no source expires.
func (c *Client) resolve(
	ctx context.Context, claims auth.Claims, accessToken string, by Caller,
) (more auth.Claims, expires time.Time, err error) {
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
	for _, name := range slices.Sorted(maps.Keys(bySource)) {
		var source auth.Claims
		if c.settings.GroupsOverageEndpoint != "" && slices.Contains(bySource[name], overageClaim) {
			source, err = c.groups(ctx, accessToken, by)
		} else {
			source, err = c.claimSource(ctx, sources[name], claims.String("sub"), by)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the claim source %q: %w", clip(name), err))
			continue
		}
		if exp, _ := source.Time("exp"); !exp.IsZero() && (expires.IsZero() || exp.Before(expires)) {
			expires = exp
		}
		for _, claim := range bySource[name] {
			if v, ok := source[claim]; ok {
				more[claim] = v
			}
		}
	}
	if len(errs) > 0 {
		return nil, expires, &partialError{more, errors.Join(errs...)}
	}
	return more, expires, nil
}

// claimSource returns the claims of one source about the subject sub: of a JWT in the claim set (aggregated), or at an endpoint
// (distributed). A source needs no iss, sub or exp, because this issuer's keys verify it; but those it has are checked.
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
		leave(false) // not a failure of the caller: the issuer named the endpoint
		if err != nil {
			return nil, err
		}
	}
	t, err := parseJWT(jwt)
	if err != nil {
		return nil, err
	}
	if err := c.checkSource(ctx, t.claims, sub); err != nil {
		return nil, err
	}
	_, err = c.issuer.verifySignature(ctx, t, signatureRules{algorithms: asymmetric, origin: fromIssuer})
	return t.claims, err
}

// checkSource checks iss, sub and the times of a source, where it has them.
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
		return errors.New("sub: the source is about another subject")
	}
	if claims["exp"] == nil {
		return nil
	}
	_, _, err := c.issuer.checkTimes(claims)
	return err
}

// fetchClaims fetches the JWT of a distributed source. The endpoint must use TLS if the issuer does.
func (c *Client) fetchClaims(ctx context.Context, endpoint, token string) (string, error) {
	if err := c.issuer.checkEndpoint(endpoint); err != nil {
		return "", unavailable(err)
	}
	r, err := newRequest(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return "", err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Accept", "application/jwt")
	res, err := c.issuer.do(c.issuer.http, "distributed_claims", r)
	if err != nil {
		return "", err
	}
	if res.status != http.StatusOK {
		return "", fmt.Errorf("%w: expected 200, got %d", ErrUnavailable, res.status)
	}
	return res.jwt(), nil
}
