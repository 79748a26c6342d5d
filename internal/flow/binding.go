package flow

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"sallyport/internal/auth"
)

// BindingSettings say how access tokens are treated that are bound to a key (RFC 9449) or to a certificate (RFC 8705). The
// gate checks no proof of possession, so it refuses them by default. With off it accepts them as if they were not bound.
type BindingSettings struct {
	ProofOfPossessionDPoP string `yaml:"proof_of_possession_dpop" enum:"off"`
	ProofOfPossessionMTLS string `yaml:"proof_of_possession_mtls" enum:"off"`
}

// check refuses a token that is bound according to its claims or the introspection response (RFC 7800 §3.1). A binding of an
// unknown kind is only accepted if both settings are off.
func (s *BindingSettings) check(i *auth.Identity) error {
	dpop, mtls := s.ProofOfPossessionDPoP == "off", s.ProofOfPossessionMTLS == "off"
	if dpop && mtls {
		return nil
	}
	for _, claims := range [...]auth.Claims{i.AccessToken, i.Introspection} {
		cnf := claims["cnf"]
		if cnf == nil {
			continue
		}
		members, _ := cnf.(map[string]any)
		for _, kind := range slices.Sorted(maps.Keys(members)) {
			switch {
			case kind == "jkt" && dpop, kind == "x5t#S256" && mtls:
			case kind == keycloakJKTType && members[kind] == "DPoP" && members["jkt"] != nil && dpop:
			default:
				return errBound(kind)
			}
		}
		if len(members) == 0 {
			return errBound("of no known kind")
		}
	}
	return nil
}

// keycloakJKTType is a member beside jkt in Keycloak's tokens. It names the kind of proof, and is no binding itself.
const keycloakJKTType = "kc-jkt-type"

func errBound(kind string) error {
	return auth.InvalidToken("token_bound",
		fmt.Errorf("cnf: the token is bound (%s), and the gate checks no proof of possession: %w", kind, errNoProof))
}

// errNoProof tells the operator how to have such tokens accepted.
var errNoProof = errors.New("have the issuer issue unbound tokens to this client, or write proof_of_possession_dpop: off, " +
	"or proof_of_possession_mtls: off, to accept them without proof")
