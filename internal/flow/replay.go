package flow

import (
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// TokenClientSettings say what of a caller's request goes into token requests, and what of the response goes back.
type TokenClientSettings struct {
	TokenHeadersClient  []string `yaml:"token_headers_client" group:"issuer"`
	TokenPostArgsClient []string `yaml:"token_post_args_client" group:"issuer"`
	TokenHeadersPrefix  string   `yaml:"token_headers_prefix"` // before the names of token_headers_replay
	TokenHeadersGrants  []string `yaml:"token_headers_grants" enum:"authorization_code,client_credentials,password,refresh_token"`
}

// replay turns a token response into the result of a flow.
type replay struct {
	on     bool
	prefix string
}

func newReplay(s *Settings, grant string) replay {
	grants := s.TokenHeadersGrants
	return replay{on: len(grants) == 0 || slices.Contains(grants, grant), prefix: s.TokenHeadersPrefix}
}

// result returns the result of a flow of kind k that sent the credential in at to the token endpoint.
func (p *replay) result(k *Kind, t *oidc.TokenResponse, at []auth.Param) *auth.Result {
	res := &auth.Result{Identity: k.proved(t.Identity), Used: at, Issued: t.Answer}
	if !p.on || len(t.Header) == 0 {
		return res
	}
	res.Header = make(map[string][]string, len(t.Header))
	for name, values := range t.Header {
		res.Header[headerName(p.prefix+name)] = slices.Clone(values)
	}
	return res
}
