package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"sallyport/internal/auth"
	"sallyport/internal/cache"
	"sallyport/internal/dpop"
)

// The grant types of RFC 6749.
const (
	GrantAuthorizationCode = "authorization_code" // §4.1.3
	GrantPassword          = "password"           // §4.3.2
	GrantClientCredentials = "client_credentials" // §4.4.2
	GrantRefreshToken      = "refresh_token"      // §6
)

// A tokenGrant is a use of the token endpoint.
type tokenGrant struct {
	name string // in settings such as auth_methods and ignore_signature

	// refusals are the error codes that refuse the credential in the request (RFC 6749 §5.2, OIDC Core §3.1.2.6). Any other code, except
	// outageErrors, is about the configuration.
	refusals []string
}

var (
	codeGrant = tokenGrant{GrantAuthorizationCode, []string{"invalid_grant", "access_denied"}}

	// sessionGrant refreshes the tokens of a session: invalid_grant ends it.
	sessionGrant = tokenGrant{requestSession, []string{"invalid_grant", "interaction_required", "login_required", "consent_required"}}

	clientCredentialsGrant = tokenGrant{GrantClientCredentials,
		[]string{"invalid_client", "unauthorized_client", "invalid_grant", "invalid_request", "invalid_scope", "access_denied"}}

	// The credential of these comes from a caller, who can send anything: so invalid_request refuses it, too.
	refreshTokenGrant  = tokenGrant{GrantRefreshToken, callersRefusals}
	passwordGrant      = tokenGrant{GrantPassword, callersRefusals}
	tokenExchangeGrant = tokenGrant{"token_exchange", callersRefusals}
	endpointGrant      = tokenGrant{"token_exchange_endpoint", nil} // has no error codes

	callersRefusals = []string{
		"invalid_grant", "invalid_request", "access_denied", "interaction_required", "login_required", "consent_required",
	}
)

// Code redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5). The tokens are bound to the key, if there is one (RFC 9449 §5).
func (c *Client) Code(ctx context.Context, code, redirectURI, verifier string, key *dpop.Key, by Caller) (*TokenResponse, error) {
	form := url.Values{"grant_type": {GrantAuthorizationCode}, "code": {code}, "redirect_uri": {redirectURI}}
	if verifier != "" {
		form.Set("code_verifier", verifier)
	}
	return admitted(ctx, c.issuer, by, func(ctx context.Context) (*TokenResponse, error) {
		t, err := c.token(ctx, tokenRequest{tokenGrant: codeGrant, form: form, extra: by.Extra, key: key})
		if err == nil {
			err = c.checkGranted(t.Tokens.Scope)
		}
		return t, err
	})
}

// checkGranted refuses a granted scope that the authorization request didn't have, with verify_granted_scopes (FAPI 1.0 Part 1 §5.2.3-10).
func (c *Client) checkGranted(scope string) error {
	if !c.settings.VerifyGrantedScopes {
		return nil
	}
	for _, granted := range strings.Fields(scope) {
		if !slices.Contains(c.settings.Scopes, granted) {
			return fmt.Errorf("%w: it granted the scope %q, which scopes doesn't have: "+
				"add it there, or take it from the client at the issuer", ErrNotSetUp, clip(granted))
		}
	}
	return nil
}

// Refresh requests new tokens with the refresh token of a session (RFC 6749 §6). If the response has no refresh token, the old one
// stays. The new tokens are bound to the key of the old ones.
func (c *Client) Refresh(ctx context.Context, old auth.Tokens) (*TokenResponse, error) {
	key, err := keyOf(old)
	if err != nil {
		return nil, err
	}
	leave, err := c.issuer.calls.admitOwn(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return c.refresh(ctx, old.RefreshToken, tokenRequest{tokenGrant: sessionGrant, key: key})
}

func (c *Client) refresh(ctx context.Context, refreshToken string, r tokenRequest) (*TokenResponse, error) {
	r.form = url.Values{"grant_type": {GrantRefreshToken}, "refresh_token": {refreshToken}}
	t, err := c.token(ctx, r)
	if err == nil && t.Tokens.RefreshToken == "" {
		t.Tokens.RefreshToken = refreshToken
	}
	return t, err
}

// rotatedLifetime is how long the response to a refresh token that was rotated is cached: long enough for requests that a client sent
// together. The authorization server decides on a later reuse, which may be a thief's (RFC 9700 §4.14.2).
const rotatedLifetime = 5 * time.Second

// Refreshed requests new tokens with a caller's refresh token (RFC 6749 §6). Requests with the same token at the same time get the same
// response, because with rotation a second use would end the grant (RFC 9700 §4.14.2).
func (c *Client) Refreshed(ctx context.Context, refreshToken string, by Caller) (*TokenResponse, error) {
	return c.cachedGrant(ctx, c.caches.refreshed, by, grantRequest{
		tokenGrant: refreshTokenGrant, credential: []string{refreshToken},
		send: func(ctx context.Context) (*TokenResponse, error) {
			return c.refresh(ctx, refreshToken, tokenRequest{tokenGrant: refreshTokenGrant, extra: by.Extra})
		},
		expires: func(t *TokenResponse) time.Time {
			until := c.issuer.now().Add(rotatedLifetime)
			if exp := t.expires(); t.Tokens.RefreshToken == refreshToken || !exp.IsZero() && exp.Before(until) {
				return exp
			}
			return until
		},
	})
}

// ClientCredentials requests an access token for the caller's own client (RFC 6749 §4.4), which authenticates as itself.
func (c *Client) ClientCredentials(ctx context.Context, client Credentials, by Caller) (*TokenResponse, error) {
	return c.cachedGrant(ctx, c.caches.tokens, by, grantRequest{
		tokenGrant: clientCredentialsGrant, client: &client, credential: []string{client.ID, string(client.Secret)},
		send: func(ctx context.Context) (*TokenResponse, error) {
			form := c.grantForm(GrantClientCredentials)
			return c.token(ctx, tokenRequest{tokenGrant: clientCredentialsGrant, form: form, extra: by.Extra, as: &client})
		},
	})
}

// Password requests tokens for a user's name and password (RFC 6749 §4.3). The gate's own client authenticates.
func (c *Client) Password(ctx context.Context, username string, password auth.Secret, by Caller) (*TokenResponse, error) {
	return c.cachedGrant(ctx, c.caches.tokens, by, grantRequest{
		tokenGrant: passwordGrant, credential: []string{username, string(password)},
		send: func(ctx context.Context) (*TokenResponse, error) {
			form := c.grantForm(GrantPassword)
			form.Set("username", username)
			form.Set("password", string(password))
			return c.token(ctx, tokenRequest{tokenGrant: passwordGrant, form: form, extra: by.Extra})
		},
	})
}

// grantForm returns the form of a token request with the configured scopes and audiences. It leaves out the scope openid alone for client
// credentials: there is no user, and some servers refuse it.
func (c *Client) grantForm(grantType string) url.Values {
	form := url.Values{"grant_type": {grantType}}
	scopes := c.settings.Scopes
	if grantType == GrantClientCredentials && slices.Equal(scopes, []string{gooidc.ScopeOpenID}) {
		scopes = nil
	}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	if len(c.settings.Audience) > 0 {
		form["audience"] = slices.Clone(c.settings.Audience)
	}
	return form
}

// A grantRequest exchanges a caller's credential for tokens.
type grantRequest struct {
	tokenGrant
	credential []string     // part of the cache key
	client     *Credentials // the caller's own client; nil: the gate's
	send       func(context.Context) (*TokenResponse, error)
	expires    func(*TokenResponse) time.Time // the end of a response in the cache; nil: the access token's expiry
}

// cachedGrant returns the response to a request from the cache, or sends the request, once for all callers that wait for the same. A nil
// cache has nothing.
func (c *Client) cachedGrant(
	ctx context.Context, responses *cache.Cache[*TokenResponse], by Caller, g grantRequest,
) (*TokenResponse, error) {
	load := func(ctx context.Context) (*TokenResponse, time.Time, error) {
		t, err := admitted(ctx, c.issuer, by, g.send)
		if err == nil {
			t.Identity, err = c.grantIdentity(ctx, g, t)
		}
		switch {
		case err != nil:
			return nil, time.Time{}, err
		case g.expires != nil:
			return t, g.expires(t), nil
		}
		return t, t.expires(), nil
	}
	key := append([]string{g.name}, g.credential...)
	if g.name != refreshTokenGrant.name { // a refresh token that was rotated has no second response
		key = append(key, c.Certificate()) // tokens of another certificate may be bound to it
	}
	return cached(ctx, responses, c.cacheKey(key, by.Extra), load)
}

// grantIdentity verifies the tokens of a response. An error wraps ErrUnavailable: a bad token of the issuer says nothing about the caller's
// credential.
func (c *Client) grantIdentity(ctx context.Context, g grantRequest, t *TokenResponse) (*auth.Identity, error) {
	tokens := t.Tokens
	if g.client != nil {
		tokens.IDToken = "" // it is for the caller's client, and about no user
	}
	identity, err := c.Issued(ctx, tokens, IDTokenWant{Grant: g.name})
	switch {
	case err != nil && !errors.Is(err, ErrUnavailable):
		return nil, fmt.Errorf("%w: the tokens that it issued: %w", ErrUnavailable, err)
	case err != nil:
		return nil, err
	}
	if g.client != nil {
		identity.ClientID, identity.Subject = g.client.ID, cmp.Or(identity.Subject, g.client.ID)
	}
	return identity, nil
}
