package flow

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/dpop"
	"sallyport/internal/redis"
)

// BindingSettings say how access tokens are treated that are bound to a key (RFC 9449) or to a certificate (RFC 8705). With optional a
// bound token needs a proof of possession, with strict every token must be bound, and with off bindings aren't checked.
type BindingSettings struct {
	DPoP string `yaml:"proof_of_possession_dpop" default:"optional" enum:"off,optional,strict"`
	MTLS string `yaml:"proof_of_possession_mtls" default:"optional" enum:"off,optional,strict"`
	// Required says that a token must be bound in one of the two ways.
	Required bool `yaml:"proof_of_possession_required" default:"false"`
	// AuthMethodsValidation refuses flows at load to whose tokens strict doesn't apply.
	AuthMethodsValidation bool `yaml:"proof_of_possession_auth_methods_validation" default:"true"`
	// MTLSFromHeader says which header of a trusted proxy has the client's certificate. Nil: it is that of the connection.
	MTLSFromHeader    *CertificateHeader `yaml:"proof_of_possession_mtls_from_header"`
	DPoPUseNonce      bool               `yaml:"dpop_use_nonce" default:"false"` // proofs need a nonce of the gate
	DPoPProofLifetime time.Duration      `yaml:"dpop_proof_lifetime" default:"300" min:"1s" max:"1h"`
	// DPoPSigningAlgs are the algorithms with which proofs may be signed. Empty: all that can be verified.
	DPoPSigningAlgs []string `yaml:"dpop_signing_alg_values_supported"`
}

// Enums returns the values of the settings whose values are listed in package dpop.
func (BindingSettings) Enums() map[string][]string {
	return map[string][]string{"dpop_signing_alg_values_supported": dpop.Algorithms}
}

// algorithms returns the algorithms with which proofs may be signed.
func (s *BindingSettings) algorithms() []string {
	if len(s.DPoPSigningAlgs) == 0 {
		return dpop.Algorithms
	}
	return s.DPoPSigningAlgs
}

// addMetadata adds what the settings require to the metadata of a protected resource (RFC 9728 §2).
func (s *BindingSettings) addMetadata(document map[string]any) {
	if s.DPoP != "off" {
		document["dpop_signing_alg_values_supported"] = s.algorithms()
	}
	if s.DPoP == "strict" {
		document["dpop_bound_access_tokens_required"] = true
	}
	if s.MTLS == "strict" {
		document["tls_client_certificate_bound_access_tokens"] = true
	}
}

// ReadsProofs reports whether a flow reads DPoP proofs.
func (s *Settings) ReadsProofs() bool {
	return s.DPoP != "off" && s.anyOn(func(k *Kind) bool { return len(k.verifies) > 0 })
}

// Redis returns the settings of the Redis that the replicas of a route share: that of the sessions, else that of the cluster cache. Nil:
// they share none.
func (s *Settings) Redis() *redis.Settings {
	switch {
	case s.Session.Storage == "redis":
		return &s.Session.Redis
	case s.Cluster.ClusterCacheStrategy == "redis":
		return &s.Cluster.ClusterCacheRedis
	}
	return nil
}

// challengeDPoP returns the parameters of the challenge DPoP (RFC 9449 §7.1); empty if no flow reads that scheme.
func (s *Settings) challengeDPoP() string {
	if !s.ReadsProofs() {
		return ""
	}
	return "algs=" + strconv.Quote(strings.Join(s.algorithms(), " "))
}

// check reports mistakes in the settings of bound tokens.
func (s *BindingSettings) check(c check.Checker, all *Settings) {
	s.checkMethods(c, all)
	if s.DPoP == "strict" {
		header := headerName(all.BearerTokenHeaderName)
		c.Must("proof_of_possession_dpop",
			slices.Contains(all.BearerTokenParamType, string(auth.InHeader)) && (header == "" || header == authorization.Name),
			"strict needs tokens in Authorization, under the scheme DPoP: see bearer_token_param_type and bearer_token_header_name")
	}
	c.Must("dpop_use_nonce", !s.DPoPUseNonce || s.DPoP != "off", "with proof_of_possession_dpop: off no proof is read: take it out")
	c.Must("dpop_use_nonce", !s.DPoPUseNonce || len(all.Session.Secret) > 0,
		"the nonces are made with session_secret, which every replica must have: add it")
	if s.MTLSFromHeader != nil {
		s.MTLSFromHeader.check(c.Below("proof_of_possession_mtls_from_header."))
	}
}

// checkMethods refuses flows to whose tokens strict doesn't apply.
func (s *BindingSettings) checkMethods(c check.Checker, all *Settings) {
	strict := map[string]bool{
		"proof_of_possession_dpop": s.DPoP == "strict", "proof_of_possession_mtls": s.MTLS == "strict",
		"proof_of_possession_required": s.Required,
	}
	if !s.AuthMethodsValidation {
		return
	}
	var others []string
	for _, k := range all.kindsOn() {
		if k.Name != "" && !k.bindable {
			others = append(others, string(k.Name))
		}
	}
	for _, key := range []string{"proof_of_possession_dpop", "proof_of_possession_mtls", "proof_of_possession_required"} {
		if strict[key] && len(others) > 0 {
			c.Complain(key, "it doesn't apply to the tokens of %s: take these out of auth_methods, or write "+
				"proof_of_possession_auth_methods_validation: false", strings.Join(others, ", "))
			return
		}
	}
}
