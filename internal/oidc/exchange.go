package oidc

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/cache"
)

// TokenExchangeSettings say which access tokens are exchanged before they go to the upstream, and how.
type TokenExchangeSettings struct {
	TokenExchange         *TokenExchange `yaml:"token_exchange" group:"issuer"`          // nil: none
	TokenExchangeEndpoint string         `yaml:"token_exchange_endpoint" group:"issuer"` // no standard's: it is sent the access token as bearer, and answers with another
	CacheTokenExchange    bool           `yaml:"cache_token_exchange" default:"true"`    // its answers
}

// TokenExchange is RFC 8693, or the JWT bearer grant (RFC 7523 §2.1) for issuers that have only that.
type TokenExchange struct {
	GrantType           string               `yaml:"grant_type" default:"token_exchange" enum:"token_exchange,jwt_bearer"`
	Provider            string               `yaml:"provider" default:"standard" enum:"standard,microsoft"` // microsoft: on behalf of
	SubjectTokenIssuers []SubjectTokenIssuer `yaml:"subject_token_issuers" required:"true" min:"1"`
	Request             ExchangeRequest      `yaml:"request"`
	MapIdentitiesFrom   string               `yaml:"map_identities_from" default:"exchanged_tokens" enum:"exchanged_tokens,subject_token"`
	Cache               ExchangeCache        `yaml:"cache"`
}

// A SubjectTokenIssuer is an issuer whose access tokens are exchanged: always, or for the route's own issuer if the
// conditions hold.
type SubjectTokenIssuer struct {
	Issuer           string      `yaml:"issuer" required:"true"`          // the token's iss
	JWKSURI          string      `yaml:"jwks_uri"`                        // its keys; default by discovery
	VerifySignature  bool        `yaml:"verify_signature" default:"true"` // always
	AudienceRequired []string    `yaml:"audience_required"`               // default: one of client_id; any alone: no check
	Conditions       *Conditions `yaml:"conditions"`
}

// Conditions must all hold.
type Conditions struct {
	HasAudience     []string `yaml:"has_audience"`
	HasScopes       []string `yaml:"has_scopes"`
	MissingAudience []string `yaml:"missing_audience"`
	MissingScopes   []string `yaml:"missing_scopes"`
}

// ExchangeRequest shapes the request besides the subject token.
type ExchangeRequest struct {
	Audience       []string      `yaml:"audience"` // default: audience
	EmptyAudience  bool          `yaml:"empty_audience" default:"false"`
	Scopes         []string      `yaml:"scopes"` // default: scopes
	EmptyScopes    bool          `yaml:"empty_scopes" default:"false"`
	HeadersNames   []string      `yaml:"headers_names"` // in the place of token_headers_*
	HeadersValues  []auth.Secret `yaml:"headers_values"`
	EmptyHeaders   bool          `yaml:"empty_headers" default:"false"`
	PostArgsNames  []string      `yaml:"post_args_names"` // in the place of token_post_args_*
	PostArgsValues []auth.Secret `yaml:"post_args_values"`
	EmptyPostArgs  bool          `yaml:"empty_post_args" default:"false"`
	ActorToken     ActorToken    `yaml:"actor_token"`

	// What the tokens are (RFC 8693 §3). The subject token is always the access token that is exchanged.
	SubjectTokenType   string `yaml:"subject_token_type" default:"urn:ietf:params:oauth:token-type:access_token" enum:"urn:ietf:params:oauth:token-type:access_token,urn:ietf:params:oauth:token-type:jwt"`
	RequestedTokenType string `yaml:"requested_token_type" default:"urn:ietf:params:oauth:token-type:access_token" enum:"urn:ietf:params:oauth:token-type:access_token,urn:ietf:params:oauth:token-type:jwt"`
}

// ActorToken is who acts for the subject (RFC 8693 §1.1, delegation).
type ActorToken struct {
	Source      string      `yaml:"source" default:"none" enum:"none,config,header"`
	HeaderName  string      `yaml:"header_name"`
	StaticToken auth.Secret `yaml:"static_token"`
	Type        string      `yaml:"type" default:"urn:ietf:params:oauth:token-type:access_token"`
}

// ExchangeCache says whether exchanged tokens are kept.
type ExchangeCache struct {
	Enabled bool          `yaml:"enabled" default:"true"`
	TTL     time.Duration `yaml:"ttl"` // 0: cache_ttl and the token's expiry alone; the expiry ends it sooner
}

const (
	grantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantJWTBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	typeAccessToken    = "urn:ietf:params:oauth:token-type:access_token"
	typeJWT            = "urn:ietf:params:oauth:token-type:jwt"
)

// keepExchanged makes the caches of exchanges.
func (c *Client) keepExchanged(config ClientConfig, times cache.Times, shared *cache.Shared) {
	if x := config.TokenExchange; x != nil && x.Cache.Enabled {
		if x.Cache.TTL > 0 {
			times.TTL = x.Cache.TTL
			if times.Max == 0 || x.Cache.TTL < times.Max {
				times.Max = x.Cache.TTL
			}
		}
		c.exchanged = newCache(c, times, shared, (*TokenResponse).size, ErrRefused)
	}
	if config.CacheTokenExchange {
		c.replaced = newCache(c, times, nil, (*TokenResponse).size, ErrRefused)
	}
}

// Exchange returns the token that the authorization server gives for a subject token (RFC 8693 §2), or what is kept of an
// earlier answer. actor may be empty. The error wraps ErrRefused for a verdict on the subject or actor token.
func (c *Client) Exchange(ctx context.Context, subject, actor string, by Caller) (*TokenResponse, error) {
	x := c.settings.TokenExchange
	form := c.exchangeForm(x, subject, actor)
	extra := c.exchangeExtra(x, by.Extra)
	g := grant{flow: "token_exchange", parts: []string{form.Encode()}, ask: func(ctx context.Context) (*TokenResponse, error) {
		t, err := c.token(ctx, "token_exchange", form, extra, nil)
		if err != nil {
			return nil, err
		}
		if kind := t.IssuedTokenType; kind != "" && kind != typeAccessToken && kind != typeJWT {
			return nil, fmt.Errorf("%w: its issued_token_type is %q, and only %s and %s are taken: change requested_token_type",
				ErrNotSetUp, clip(kind), typeAccessToken, typeJWT)
		}
		return t, nil
	}}
	by.Extra = extra
	return c.granted(ctx, c.exchanged, by, g)
}

func (c *Client) exchangeForm(x *TokenExchange, subject, actor string) url.Values {
	form := url.Values{"grant_type": {grantTokenExchange}}
	if x.GrantType == "jwt_bearer" {
		form.Set("grant_type", grantJWTBearer)
		form.Set("assertion", subject)
		if x.Provider == "microsoft" {
			form.Set("requested_token_use", "on_behalf_of")
		}
	} else {
		form.Set("subject_token", subject)
		form.Set("subject_token_type", x.Request.SubjectTokenType)
		form.Set("requested_token_type", x.Request.RequestedTokenType)
	}
	if actor != "" {
		form.Set("actor_token", actor)
		form.Set("actor_token_type", x.Request.ActorToken.Type)
	}
	if scopes := override(x.Request.Scopes, c.settings.Scopes, x.Request.EmptyScopes); len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	if audience := override(x.Request.Audience, c.settings.Audience, x.Request.EmptyAudience); len(audience) > 0 {
		form["audience"] = slices.Clone(audience)
	}
	return form
}

// override is the request's own list, else the settings', else none.
func override(own, settings []string, empty bool) []string {
	switch {
	case empty:
		return nil
	case len(own) > 0:
		return own
	}
	return settings
}

// exchangeExtra is what an exchange has in the place of the settings' headers and arguments.
func (c *Client) exchangeExtra(x *TokenExchange, extra Extra) Extra {
	r := &x.Request
	if len(r.HeadersNames) > 0 || r.EmptyHeaders {
		extra.OwnHeader = true
		extra.Header = extra.Header.Clone()
		if extra.Header == nil {
			extra.Header = http.Header{}
		}
		named(r.HeadersNames, r.HeadersValues, extra.Header.Set)
	}
	if len(r.PostArgsNames) > 0 || r.EmptyPostArgs {
		extra.OwnArgs = true
		args := url.Values{}
		for name, values := range extra.Args {
			args[name] = values
		}
		named(r.PostArgsNames, r.PostArgsValues, args.Add)
		extra.Args = args
	}
	return extra
}

// Replace sends an access token to token_exchange_endpoint and returns the one that it answers with.
func (c *Client) Replace(ctx context.Context, accessToken string, by Caller) (string, error) {
	g := grant{flow: "token_exchange_endpoint", parts: []string{accessToken}, ask: func(ctx context.Context) (*TokenResponse, error) {
		return c.replace(ctx, accessToken)
	}}
	t, err := c.granted(ctx, c.replaced, by, g)
	if err != nil {
		return "", err
	}
	return t.Tokens.AccessToken, nil
}

func (c *Client) replace(ctx context.Context, accessToken string) (*TokenResponse, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.settings.TokenExchangeEndpoint, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r.Header.Set("Authorization", "Bearer "+accessToken)
	a, err := c.issuer.do(c.http, r)
	if err != nil {
		return nil, err
	}
	token := strings.TrimSpace(string(a.body))
	switch {
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return nil, fmt.Errorf("%w: token_exchange_endpoint answered %d", ErrRefused, a.status)
	case a.status != http.StatusOK:
		return nil, statusError("token_exchange_endpoint", a.status, "token_exchange_endpoint")
	case token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, fmt.Errorf("%w: token_exchange_endpoint answered something that is no token", ErrUnavailable)
	}
	return &TokenResponse{Tokens: auth.Tokens{AccessToken: token, TokenType: "Bearer"}}, nil
}
