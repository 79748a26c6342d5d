package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/cache"
)

// The grant types of RFC 6749.
const (
	GrantAuthorizationCode = "authorization_code" // §4.1.3
	GrantPassword          = "password"           // §4.3.2
	GrantClientCredentials = "client_credentials" // §4.4.2
	GrantRefreshToken      = "refresh_token"      // §6
)

// Code redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).
func (c *Client) Code(ctx context.Context, code, redirectURI, verifier string, by Caller) (*TokenResponse, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}}
	if verifier != "" {
		form.Set("code_verifier", verifier)
	}
	leave, err := c.issuer.calls.admit(ctx, by.Address)
	if err != nil {
		return nil, err
	}
	t, err := c.token(ctx, "authorization_code", form, by.Extra, nil)
	leave(refusedIn(err))
	return t, err
}

// refusedIn reports whether a call's error is about what the caller sent, and not about the issuer's state.
func refusedIn(err error) bool { return err != nil && !IsOutage(err) }

// Refresh asks for new tokens with a refresh token of the gate's own (RFC 6749 §6). The answer's refresh token is the old one
// if the server sent no new one.
func (c *Client) Refresh(ctx context.Context, refreshToken string) (*TokenResponse, error) {
	leave, err := c.issuer.calls.forGate(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return c.refresh(ctx, "session", refreshToken, Extra{})
}

func (c *Client) refresh(ctx context.Context, grant, refreshToken string, extra Extra) (*TokenResponse, error) {
	t, err := c.token(ctx, grant, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}, extra, nil)
	if err == nil && t.Tokens.RefreshToken == "" {
		t.Tokens.RefreshToken = refreshToken
	}
	return t, err
}

// A Caller is whose request makes us ask.
type Caller struct {
	Address netip.Addr
	Extra   Extra // what of the request goes into ours
}

// rotatedServes is how long a refresh token that was rotated gets the answer of its one use: long enough for requests that were
// sent together. The authorization server judges a later one, which may be a thief's (RFC 9700 §4.14.2).
const rotatedServes = 5 * time.Second

// Refreshed is Refresh for a caller's refresh token. Requests that bring the same one at the same time get the same answer,
// because with rotation a second use would end the grant (RFC 9700 §4.14.2).
func (c *Client) Refreshed(ctx context.Context, refreshToken string, by Caller) (*TokenResponse, error) {
	g := grant{flow: "refresh_token", parts: []string{refreshToken}}
	g.ask = func(ctx context.Context) (*TokenResponse, error) {
		return c.refresh(ctx, g.flow, refreshToken, by.Extra)
	}
	g.serves = func(t *TokenResponse) time.Time {
		until := c.issuer.now().Add(rotatedServes)
		if ends := t.expires(); t.Tokens.RefreshToken == refreshToken || !ends.IsZero() && ends.Before(until) {
			return ends
		}
		return until
	}
	return c.granted(ctx, c.refreshed, by, g)
}

// ClientCredentials asks for a token for a caller's own client (RFC 6749 §4.4), which authenticates as it is.
func (c *Client) ClientCredentials(ctx context.Context, who Credentials, by Caller) (*TokenResponse, error) {
	g := grant{flow: "client_credentials", as: &who, parts: []string{who.ID, string(who.Secret)}}
	g.ask = func(ctx context.Context) (*TokenResponse, error) {
		return c.token(ctx, g.flow, c.scoped(g.flow), by.Extra, &who)
	}
	return c.granted(ctx, c.tokens, by, g)
}

// Password asks for tokens for a person's name and password (RFC 6749 §4.3), with our own client.
func (c *Client) Password(ctx context.Context, username string, password auth.Secret, by Caller) (*TokenResponse, error) {
	g := grant{flow: "password", parts: []string{username, string(password)}}
	g.ask = func(ctx context.Context) (*TokenResponse, error) {
		form := c.scoped(g.flow)
		form.Set("username", username)
		form.Set("password", string(password))
		return c.token(ctx, g.flow, form, by.Extra, nil)
	}
	return c.granted(ctx, c.tokens, by, g)
}

// scoped is the form of a grant with the configured scopes and audiences. openid alone says nothing where no person is, and
// some servers refuse it there.
func (c *Client) scoped(grant string) url.Values {
	form := url.Values{"grant_type": {grant}}
	scopes := c.settings.Scopes
	if grant == "client_credentials" && slices.Equal(scopes, []string{"openid"}) {
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

// A grant is a caller's credential that is exchanged for tokens.
type grant struct {
	flow  string
	parts []string     // the credential: what an answer is kept by
	as    *Credentials // the caller's own client
	ask   func(context.Context) (*TokenResponse, error)

	serves func(*TokenResponse) time.Time // until when the answer may be kept; nil: until the access token expires
}

// granted answers from what is kept, or asks, once for all who ask for the same.
func (c *Client) granted(ctx context.Context, kept *cache.Cache[*TokenResponse], by Caller, g grant) (*TokenResponse, error) {
	load := func(ctx context.Context) (*TokenResponse, time.Time, error) {
		leave, err := c.issuer.calls.admit(ctx, by.Address)
		if err != nil {
			return nil, time.Time{}, err
		}
		t, err := g.ask(ctx)
		leave(refusedIn(err))
		if err != nil {
			return nil, time.Time{}, err
		}
		tokens := t.Tokens
		if g.as != nil {
			tokens.IDToken = "" // it is for the caller's client, and about no person
		}
		if t.Identity, err = c.Issued(ctx, tokens, IDTokenWant{Grant: g.flow}); err != nil {
			if !errors.Is(err, ErrUnavailable) {
				err = fmt.Errorf("%w: what it has issued: %w", ErrUnavailable, err)
			}
			return nil, time.Time{}, err
		}
		if g.as != nil {
			t.Identity.ClientID, t.Identity.Subject = g.as.ID, cmp.Or(t.Identity.Subject, g.as.ID)
		}
		if g.serves != nil {
			return t, g.serves(t), nil
		}
		return t, t.expires(), nil
	}
	if kept == nil {
		t, _, err := load(ctx)
		return t, err
	}
	return kept.Get(ctx, c.key(append([]string{g.flow}, g.parts...), by.Extra), load)
}

// key is the key of an answer in this client's caches: all that shapes it. It is a keyed hash, because credentials that
// people choose could be guessed from a plain one.
func (c *Client) key(parts []string, extra Extra) cache.Key {
	own := []string{c.issuer.url, c.ID, string(c.settings.CacheTokensSalt)}
	return cache.KeyOf(c.hashKey, slices.Concat(own, parts, extra.parts())...)
}
