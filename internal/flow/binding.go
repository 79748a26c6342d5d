package flow

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"sallyport/internal/auth"
)

// BindingSettings say what becomes of access tokens that are bound to a key (RFC 9449) or to a certificate (RFC 8705): who
// presents one has to prove to be the holder. Without a setting they are refused, since no proof is checked; off lets them
// pass as if they weren't bound.
type BindingSettings struct {
	ProofOfPossessionDPoP string `yaml:"proof_of_possession_dpop" enum:"off"`
	ProofOfPossessionMTLS string `yaml:"proof_of_possession_mtls" enum:"off"`
}

// check refuses a token whose binding nobody has proved, by what its claims or the introspection answer say (RFC 7800
// §3.1). A binding of an unknown kind passes only where none counts.
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

// keycloakJKTType stands beside jkt in Keycloak's tokens, says by what the key is proved, and binds to nothing itself.
const keycloakJKTType = "kc-jkt-type"

func errBound(kind string) error {
	return auth.InvalidToken("token_bound", fmt.Errorf("cnf: the token is bound (%s), and no proof of that is checked: %w", kind, errNoProof))
}

// errNoProof is the remedy.
var errNoProof = errors.New("have the issuer give this client unbound tokens, or write proof_of_possession_dpop: off, or proof_of_possession_mtls: off, to let them pass unproved")
