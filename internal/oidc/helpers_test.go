package oidc

import (
	"context"

	"sallyport/internal/auth"
)

// AccessToken verifies an access token of this issuer that a request carries.
func (i *Issuer) AccessToken(ctx context.Context, token string) (*auth.Identity, error) {
	return ProveAccessToken(ctx, token, []*Issuer{i}, nil)
}
