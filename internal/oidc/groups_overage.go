package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"sallyport/internal/auth"
)

// GroupsOverageSettings are about tokens of Entra ID with too many groups: instead of groups they have a reference to an endpoint that
// answers no JWT (a groups overage), so that the groups can't be resolved as distributed claims.
type GroupsOverageSettings struct {
	// GroupsOverageEndpoint is the getMemberGroups method of Microsoft Graph. Empty: groups are resolved as other distributed claims.
	GroupsOverageEndpoint string `yaml:"groups_overage_endpoint" group:"issuer"`
}

// overageClaim is the claim that Entra ID leaves out of tokens with too many groups.
const overageClaim = "groups"

// groups requests the groups of the user of an access token that was issued to the gate. It returns them as claims. The claim set's own
// endpoint isn't asked.
func (c *Client) groups(ctx context.Context, accessToken string, by Caller) (auth.Claims, error) {
	if accessToken == "" {
		return nil, errors.New("only a login has an access token for groups_overage_endpoint")
	}
	r, err := newRequest(ctx, http.MethodPost, c.settings.GroupsOverageEndpoint, strings.NewReader(`{"securityEnabledOnly":true}`))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+accessToken)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	leave, err := c.issuer.calls.admit(ctx, by.Address)
	if err != nil {
		return nil, err
	}
	res, err := c.issuer.do(c.issuer.http, "groups_overage", r)
	leave(false) // not a failure of the caller: the issuer left out the groups
	if err != nil {
		return nil, err
	}
	return readGroups(res)
}

// readGroups reads the member value of a response: a list of IDs.
func readGroups(r *response) (auth.Claims, error) {
	if r.status != http.StatusOK {
		return nil, fmt.Errorf("%w: groups_overage_endpoint: expected 200, got %d", ErrUnavailable, r.status)
	}
	object, err := r.object()
	if err != nil {
		return nil, fmt.Errorf("%w: groups_overage_endpoint: %w", ErrUnavailable, err)
	}
	list, ok := object["value"].([]any)
	if !ok {
		return nil, fmt.Errorf("%w: groups_overage_endpoint: its response has no list value", ErrUnavailable)
	}
	return auth.Claims{overageClaim: list}, nil
}
