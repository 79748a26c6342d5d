package oidc

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/cache"
)

// TokenExchangeSettings say which access tokens are exchanged before the request goes to the upstream, and how.
type TokenExchangeSettings struct {
	TokenExchange *TokenExchange `yaml:"token_exchange" group:"issuer"` // nil: none
	// TokenExchangeEndpoint is of no standard: it gets the access token as bearer token, and answers with another token.
	TokenExchangeEndpoint string `yaml:"token_exchange_endpoint" group:"issuer"`
	CacheTokenExchange    bool   `yaml:"cache_token_exchange" default:"true"` // caches its responses
}

// TokenExchange configures token exchange (RFC 8693), or the JWT bearer grant (RFC 7523 §2.1) for issuers that have only that.
type TokenExchange struct {
	GrantType string `yaml:"grant_type" default:"token_exchange" enum:"token_exchange,jwt_bearer"`
	// Provider microsoft has the on-behalf-of flow.
	Provider            string               `yaml:"provider" default:"standard" enum:"standard,microsoft"`
	SubjectTokenIssuers []SubjectTokenIssuer `yaml:"subject_token_issuers" required:"true" min:"1"`
	Request             ExchangeRequest      `yaml:"request"`
	MapIdentitiesFrom   string               `yaml:"map_identities_from" default:"exchanged_tokens" enum:"exchanged_tokens,subject_token"`
	Cache               ExchangeCache        `yaml:"cache"`
}

// A SubjectTokenIssuer is an issuer whose access tokens are exchanged: those of another issuer always, those of the route's own issuer if
// the conditions hold.
type SubjectTokenIssuer struct {
	Issuer           string      `yaml:"issuer" required:"true"`          // the token's iss
	JWKSURI          string      `yaml:"jwks_uri"`                        // its keys; default by discovery
	VerifySignature  bool        `yaml:"verify_signature" default:"true"` // always
	AudienceRequired []string    `yaml:"audience_required"`               // default: one of client_id; "any" alone: not checked
	Conditions       *Conditions `yaml:"conditions"`
}

// Conditions select the tokens that are exchanged. All must hold.
type Conditions struct {
	HasAudience     []string `yaml:"has_audience"`
	HasScopes       []string `yaml:"has_scopes"`
	MissingAudience []string `yaml:"missing_audience"`
	MissingScopes   []string `yaml:"missing_scopes"`
}

// ExchangeRequest has the parameters of the request besides the subject token.
type ExchangeRequest struct {
	Audience       []string      `yaml:"audience"` // default: audience
	EmptyAudience  bool          `yaml:"empty_audience" default:"false"`
	Scopes         []string      `yaml:"scopes"` // default: scopes
	EmptyScopes    bool          `yaml:"empty_scopes" default:"false"`
	HeadersNames   []string      `yaml:"headers_names"` // replace token_headers_*
	HeadersValues  []auth.Secret `yaml:"headers_values"`
	EmptyHeaders   bool          `yaml:"empty_headers" default:"false"`
	PostArgsNames  []string      `yaml:"post_args_names"` // replace token_post_args_*
	PostArgsValues []auth.Secret `yaml:"post_args_values"`
	EmptyPostArgs  bool          `yaml:"empty_post_args" default:"false"`
	ActorToken     ActorToken    `yaml:"actor_token"`

	// What the tokens are (RFC 8693 §3). The subject token is always the access token that is exchanged.
	SubjectTokenType   string `yaml:"subject_token_type" default:"urn:ietf:params:oauth:token-type:access_token"`
	RequestedTokenType string `yaml:"requested_token_type" default:"urn:ietf:params:oauth:token-type:access_token"`
}

// Enums returns the values that the settings take, by key.
func (ExchangeRequest) Enums() map[string][]string {
	types := []string{"urn:ietf:params:oauth:token-type:access_token", "urn:ietf:params:oauth:token-type:jwt"}
	return map[string][]string{"subject_token_type": types, "requested_token_type": types}
}

// An ActorToken identifies the party that acts for the subject (RFC 8693 §1.1).
type ActorToken struct {
	Source      string      `yaml:"source" default:"none" enum:"none,config,header"`
	HeaderName  string      `yaml:"header_name"`
	StaticToken auth.Secret `yaml:"static_token"`
	Type        string      `yaml:"type" default:"urn:ietf:params:oauth:token-type:access_token"`
}

// ExchangeCache says whether exchanged tokens are cached.
type ExchangeCache struct {
	Enabled bool          `yaml:"enabled" default:"true"`
	TTL     time.Duration `yaml:"ttl"` // 0: cache_ttl; the token's expiry ends it sooner
}

const (
	grantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantJWTBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	typeAccessToken    = "urn:ietf:params:oauth:token-type:access_token"
	typeJWT            = "urn:ietf:params:oauth:token-type:jwt"
)

// times returns the cache times of exchanged tokens.
func (e ExchangeCache) times(t cache.Times) cache.Times {
	if e.TTL > 0 {
		t.TTL = e.TTL
		if t.Max == 0 || e.TTL < t.Max {
			t.Max = e.TTL
		}
	}
	return t
}

// Exchange exchanges a subject token at the token endpoint (RFC 8693 §2), or returns a cached response. Actor is the actor token, or
// empty. The error wraps ErrRefused if the server refuses one of the tokens.
func (c *Client) Exchange(ctx context.Context, subject, actor string, by Caller) (*TokenResponse, error) {
	x := c.settings.TokenExchange
	form := c.exchangeForm(x, subject, actor)
	by.Extra = exchangeExtra(&x.Request, by.Extra)
	return c.cachedGrant(ctx, c.caches.exchanged, by, grantRequest{
		tokenGrant: tokenExchangeGrant, credential: []string{form.Encode()},
		send: func(ctx context.Context) (*TokenResponse, error) {
			t, err := c.token(ctx, tokenRequest{tokenGrant: tokenExchangeGrant, form: form, extra: by.Extra})
			if err != nil {
				return nil, err
			}
			if kind := t.IssuedTokenType; kind != "" && kind != typeAccessToken && kind != typeJWT {
				return nil, fmt.Errorf("%w: its issued_token_type is %q, and only %s and %s are taken: change requested_token_type",
					ErrNotSetUp, clip(kind), typeAccessToken, typeJWT)
			}
			return t, nil
		},
	})
}

// exchangeForm returns the form of the request (RFC 8693 §2.1, RFC 7523 §2.1).
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

// override returns the request's own list, or else the settings' list; nil if empty says so.
func override(own, settings []string, empty bool) []string {
	switch {
	case empty:
		return nil
	case len(own) > 0:
		return own
	}
	return settings
}

// exchangeExtra adds the headers and arguments of an exchange to extra. They replace the settings' ones.
func exchangeExtra(r *ExchangeRequest, extra Extra) Extra {
	if len(r.HeadersNames) > 0 || r.EmptyHeaders {
		extra.OwnHeader = true
		extra.Header = extra.Header.Clone()
		if extra.Header == nil {
			extra.Header = http.Header{}
		}
		eachPair(r.HeadersNames, r.HeadersValues, extra.Header.Set)
	}
	if len(r.PostArgsNames) > 0 || r.EmptyPostArgs {
		extra.OwnArgs = true
		args := url.Values{}
		maps.Copy(args, extra.Args)
		eachPair(r.PostArgsNames, r.PostArgsValues, args.Add)
		extra.Args = args
	}
	return extra
}

// Replace sends an access token to token_exchange_endpoint, and returns the token in the response.
func (c *Client) Replace(ctx context.Context, accessToken string, by Caller) (string, error) {
	t, err := c.cachedGrant(ctx, c.caches.replaced, by, grantRequest{
		tokenGrant: endpointGrant, credential: []string{accessToken},
		send: func(ctx context.Context) (*TokenResponse, error) { return c.replace(ctx, accessToken) },
	})
	if err != nil {
		return "", err
	}
	return t.Tokens.AccessToken, nil
}

func (c *Client) replace(ctx context.Context, accessToken string) (*TokenResponse, error) {
	r, err := newRequest(ctx, http.MethodPost, c.settings.TokenExchangeEndpoint, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+accessToken)
	res, err := c.issuer.do(c.http, "token_exchange", r)
	if err != nil {
		return nil, err
	}
	token := strings.TrimSpace(string(res.body))
	switch {
	case res.status == http.StatusUnauthorized || res.status == http.StatusForbidden:
		return nil, fmt.Errorf("%w: token_exchange_endpoint answered %d", ErrRefused, res.status)
	case res.status != http.StatusOK:
		return nil, statusError("token_exchange_endpoint", res.status, "token_exchange_endpoint")
	case token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, fmt.Errorf("%w: token_exchange_endpoint answered with something that isn't a token", ErrUnavailable)
	}
	return &TokenResponse{Tokens: auth.Tokens{AccessToken: token, TokenType: "Bearer"}}, nil
}
