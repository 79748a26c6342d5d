package flow

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/clientcert"
	"sallyport/internal/dpop"
	"sallyport/internal/oidc"
)

// A possession checks that requests prove the possession of what their access tokens are bound to: a key (RFC 9449) or a certificate
// (RFC 8705).
type possession struct {
	settings     BindingSettings
	proofs       *dpop.Verifier
	certificates *callerCertificates
}

func newPossession(v view, d *Deps) (*possession, error) {
	s := of[BindingSettings](v)
	certificates, err := newCallerCertificates(s.MTLSFromHeader, d.Now)
	if err != nil {
		return nil, err
	}
	replays := d.Replays
	if replays == nil {
		replays = &dpop.Replays{Memory: dpop.NewMemory()}
	}
	c := dpop.Config{
		Algorithms: s.algorithms(), Lifetime: s.DPoPProofLifetime, Replays: replays, Now: d.Now,
		Tolerance: d.issuer().ClockTolerance(),
	}
	if s.DPoPUseNonce {
		c.Nonces = dpop.NewNonces(d.NonceKey, s.DPoPProofLifetime)
	}
	return &possession{settings: *s, proofs: dpop.NewVerifier(c), certificates: certificates}, nil
}

// proof verifies the proof of a request up to its signature. The error is an *auth.Error.
func (p *possession) proof(r *auth.Request) (*dpop.Proof, error) {
	proof, err := p.proofs.Verify(&dpop.Request{Proofs: r.Header[proofHeader], Method: r.Method, URL: r.SentURL()})
	if err != nil {
		return nil, p.proofError(err)
	}
	return proof, nil
}

// proofHeader and nonceHeader are the headers of RFC 9449, as net/http writes their names.
const (
	proofHeader = "Dpop"
	nonceHeader = "Dpop-Nonce"
)

// schemeDPoP is the scheme of Authorization for tokens that are bound to a key.
const schemeDPoP = "DPoP"

// check checks the binding of a token that a request carries. proof is the proof of a request with the scheme DPoP, and nil with any other.
// Strict says that the settings strict apply to the flow that verified the token.
func (p *possession) check(r *auth.Request, i *auth.Identity, proof *dpop.Proof, strict bool) error {
	b, err := p.bindingOf(i)
	if err != nil {
		return err
	}
	if err := p.checkRequired(&b, strict); err != nil {
		return err
	}
	if err := p.checkCertificate(r, b.certificate); err != nil {
		return err
	}
	switch {
	case b.key != "" && proof == nil && p.dpop():
		return errBound("the token is bound to a key (jkt), and comes under another scheme than DPoP")
	case b.key == "" && proof != nil:
		return errUnbound("the scheme is DPoP, and the token isn't bound to a key (cnf.jkt)")
	case proof == nil:
		return nil
	}
	return p.use(r, i, proof, b.key)
}

// checkSession checks the binding of the token that began a session. The request proves the possession as if it carried the token.
func (p *possession) checkSession(r *auth.Request, i *auth.Identity) error {
	b, err := p.bindingOf(i)
	if err != nil {
		return err
	}
	if err := p.checkRequired(&b, true); err != nil {
		return err
	}
	if err := p.checkCertificate(r, b.certificate); err != nil || b.key == "" || !p.dpop() {
		return err
	}
	proof, err := p.proof(r)
	if err != nil {
		return err
	}
	return p.use(r, i, proof, b.key)
}

// use checks that a proof is for the token of an identity, and that it is used for the first time.
func (p *possession) use(r *auth.Request, i *auth.Identity, proof *dpop.Proof, key string) error {
	if err := proof.Confirm(i.Tokens.AccessToken, key); err != nil {
		return p.proofError(err)
	}
	if err := p.proofs.UseOnce(r.Context(), proof, r.Number()); err != nil {
		return p.proofError(err)
	}
	return nil
}

func (p *possession) dpop() bool { return p.settings.DPoP != "off" }
func (p *possession) mtls() bool { return p.settings.MTLS != "off" }

// checkRequired refuses a token that isn't bound where the settings require it.
func (p *possession) checkRequired(b *bound, strict bool) error {
	switch {
	case !strict:
		return nil
	case p.settings.DPoP == "strict" && b.key == "":
		return errUnbound("proof_of_possession_dpop is strict, and the token isn't bound to a key (cnf.jkt)")
	case p.settings.MTLS == "strict" && b.certificate == "":
		return errUnbound("proof_of_possession_mtls is strict, and the token isn't bound to a certificate (cnf.x5t#S256)")
	case p.settings.Required && b.key == "" && b.certificate == "":
		return errUnbound("proof_of_possession_required is true, and the token is bound neither to a key nor to a certificate")
	}
	return nil
}

// checkCertificate checks that the caller has the certificate with this thumbprint (RFC 8705 §3).
func (p *possession) checkCertificate(r *auth.Request, thumbprint string) error {
	if thumbprint == "" || !p.mtls() {
		return nil
	}
	der, err := p.certificates.of(r)
	if err != nil {
		return errBound(fmt.Sprintf("the token is bound to a certificate (x5t#S256): %v", err))
	}
	if subtle.ConstantTimeCompare([]byte(clientcert.Thumbprint(der)), []byte(thumbprint)) != 1 {
		return errBound("the token is bound to another certificate (x5t#S256) than the client's")
	}
	if err := p.certificates.verify(der); err != nil {
		return errBound(fmt.Sprintf("the client's certificate: %v", err))
	}
	return nil
}

// A bound says what a token is bound to, by the thumbprints in its cnf. Empty: it isn't.
type bound struct{ key, certificate string }

// bindingOf returns what a token is bound to by its claims and by the introspection response (RFC 7800 §3.1). A binding that the gate
// can't check is an error, unless both settings are off.
func (p *possession) bindingOf(i *auth.Identity) (b bound, err error) {
	if !p.dpop() && !p.mtls() {
		return b, nil
	}
	own := i.AccessToken["cnf"]
	if i.AccessToken == nil { // the issuer was asked about it; it may be a JWT nevertheless
		own = oidc.UnverifiedConfirmation(i.Tokens.AccessToken)
	}
	for _, cnf := range [...]any{own, i.Introspection["cnf"]} {
		one, err := p.confirmation(cnf)
		if err != nil {
			return b, err
		}
		if differ(b.key, one.key) || differ(b.certificate, one.certificate) {
			return b, errBound("the claims of the token and the introspection response name different keys or certificates")
		}
		b.key, b.certificate = cmp.Or(b.key, one.key), cmp.Or(b.certificate, one.certificate)
	}
	return b, nil
}

// differ reports whether two thumbprints are given and differ.
func differ(a, b string) bool { return a != "" && b != "" && a != b }

// confirmation returns the binding in a claim cnf. The member of a binding whose setting is off counts as absent.
func (p *possession) confirmation(cnf any) (b bound, err error) {
	if cnf == nil {
		return b, nil
	}
	members, _ := cnf.(map[string]any)
	if len(members) == 0 {
		return b, errBound("the token is bound in no known way")
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value, _ := members[name].(string)
		switch {
		case name == "jkt" && !p.dpop(), name == "x5t#S256" && !p.mtls():
		case name == "jkt" && value != "":
			b.key = value
		case name == "x5t#S256" && value != "":
			b.certificate = value
		case name == keycloakJKTType && value == schemeDPoP && members["jkt"] != nil:
		default:
			return b, errBound(fmt.Sprintf("the token is bound (%s), and the gate can't check that", name))
		}
	}
	return b, nil
}

// keycloakJKTType is a member beside jkt in Keycloak's tokens. It names the kind of proof, and is no binding itself.
const keycloakJKTType = "kc-jkt-type"

// nonce returns the header with the nonce that the client should use from now on, if the request's proof has one that is about to expire.
// The proof must be verified.
func (p *possession) nonce(r *auth.Request) http.Header {
	next := p.proofs.NextNonce(r.Header[proofHeader])
	if next == "" {
		return nil
	}
	return http.Header{nonceHeader: {next}}
}

// errBound refuses a bound token whose possession the request doesn't prove.
func errBound(why string) error {
	return auth.InvalidToken("token_bound", errors.New("cnf: "+why))
}

// errUnbound refuses a token that isn't bound.
func errUnbound(why string) error {
	return auth.InvalidToken("token_not_bound", errors.New("cnf: "+why))
}

// proofError returns the refusal for an error of a proof (RFC 9449 §7.1, §9).
func (p *possession) proofError(err error) error {
	refused := &auth.Error{
		Status: http.StatusUnauthorized, Scheme: schemeDPoP, Code: "invalid_dpop_proof", Reason: "dpop_proof_invalid",
		Description: "The DPoP proof is invalid.", Err: err,
	}
	switch {
	case errors.Is(err, dpop.ErrFull):
		return auth.Unavailable("dpop_replays_full", err)
	case errors.Is(err, dpop.ErrUnavailable):
		return auth.Unavailable("dpop_replays_unavailable", err)
	case errors.Is(err, dpop.ErrReplayed):
		refused.Reason = "dpop_proof_replayed"
	case errors.Is(err, dpop.ErrNonce):
		refused.Code, refused.Reason = "use_dpop_nonce", "dpop_nonce"
		refused.Description = "The DPoP proof needs a nonce of this server."
		refused.Header = http.Header{nonceHeader: {p.proofs.Nonces.Current(p.proofs.Now())}}
	}
	return refused
}
