package oidc

import (
	"fmt"
	"strings"
)

// checkParameters compares the parameters of a request with the metadata (OIDC Discovery §3), if verify_parameters is on. A list that the
// metadata doesn't have contradicts nothing, because metadata is often incomplete.
func (c *Client) checkParameters(m *Metadata, a *AuthorizationRequest) error {
	if !c.settings.VerifyParameters {
		return nil
	}
	var missing []string
	want := func(setting, value string, announced []string) {
		if value != "" && len(announced) > 0 && !hasAlgorithm(announced, value) { // it compares other values exactly
			missing = append(missing, fmt.Sprintf("%s %s (it has %s)", setting, value, strings.Join(announced, ", ")))
		}
	}
	for _, scope := range c.settings.Scopes {
		want("scopes", scope, m.Scopes)
	}
	want("response_type", a.responseType(), m.ResponseTypes)
	want("response_mode", a.ResponseMode, m.ResponseModes)
	want("id_token_signed_response_alg", commonAlgorithm(c.idTokenAlgs, m.Algorithms), m.Algorithms)
	want("client_auth", c.authMethod(c.endpointAuth(m, tokenEndpoint)), m.TokenAuthMethods)
	if a.CodeChallenge != "" {
		want("code_challenge_method", "S256", m.CodeChallengeMethods)
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: verify_parameters: its metadata doesn't announce %s", ErrNotSetUp, strings.Join(missing, "; "))
	}
	return nil
}
