package oidc

import (
	"fmt"
	"slices"
	"strings"
)

// checkParameters compares what we ask for with what the metadata announces (OIDC Discovery §3), where verify_parameters asks
// for that: metadata is often incomplete, so what it doesn't mention at all is no contradiction.
func (c *Client) checkParameters(m *Metadata, responseMode string, pkce bool) error {
	if !c.settings.VerifyParameters {
		return nil
	}
	var missing []string
	want := func(setting, value string, announced []string) {
		has := func(a string) bool { return sameAlgorithm(a, value) } // no other value has two names
		if value != "" && len(announced) > 0 && !slices.ContainsFunc(announced, has) {
			missing = append(missing, fmt.Sprintf("%s %s (it has %s)", setting, value, strings.Join(announced, ", ")))
		}
	}
	for _, scope := range c.settings.Scopes {
		want("scopes", scope, m.Scopes)
	}
	want("response_type", "code", m.ResponseTypes)
	want("response_mode", responseMode, m.ResponseModes)
	want("id_token_signed_response_alg", c.idTokenAlg, m.IDTokenAlgs)
	want("client_auth", c.authMethod(c.place(m, tokenEndpoint)), m.TokenAuthMethods)
	if pkce {
		want("code_challenge_method", "S256", m.CodeChallengeMethods)
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: verify_parameters: its metadata doesn't announce %s", ErrNotSetUp, strings.Join(missing, "; "))
	}
	return nil
}
