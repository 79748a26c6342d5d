package flow

import (
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/oidc"
)

// TokenClientSettings say what is copied from the client's request to token requests, and from token responses to the
// client.
type TokenClientSettings struct {
	TokenHeadersClient  []string `yaml:"token_headers_client" group:"issuer"`
	TokenPostArgsClient []string `yaml:"token_post_args_client" group:"issuer"`
	TokenHeadersPrefix  string   `yaml:"token_headers_prefix"` // added to the names of token_headers_replay
	TokenHeadersGrants  []Method `yaml:"token_headers_grants"`
}

// responseHeaders are the headers of token responses that a flow sends to the client.
type responseHeaders struct {
	on     bool
	prefix string
}

func newResponseHeaders(b *base, k *Kind) responseHeaders {
	s := of[TokenClientSettings](b.view)
	on := len(s.TokenHeadersGrants) == 0 || slices.Contains(s.TokenHeadersGrants, k.Name)
	return responseHeaders{on: on, prefix: s.TokenHeadersPrefix}
}

// result returns the result of a flow for a token response.
func (p *responseHeaders) result(t *oidc.TokenResponse, at []auth.Param) *auth.Result {
	res := &auth.Result{Identity: t.Identity, Used: at, Issued: t.Answer, Received: t.Received}
	if !p.on || len(t.Header) == 0 {
		return res
	}
	res.Header = make(map[string][]string, len(t.Header))
	for name, values := range t.Header {
		res.Header[headerName(p.prefix+name)] = slices.Clone(values)
	}
	return res
}

// check reports mistakes in the settings of what is copied.
func (s *TokenClientSettings) check(c check.Checker, replay []string) {
	c.Each("token_headers_client", s.TokenHeadersClient, check.Header)
	c.Each("token_headers_replay", replay, func(name string) error { return check.ResponseHeader(s.TokenHeadersPrefix + name) })
	c.Each("token_post_args_client", s.TokenPostArgsClient, oidc.CheckTokenArg)
	c.One("token_headers_prefix", s.TokenHeadersPrefix, check.Header)
}
