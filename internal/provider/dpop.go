package provider

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// A binding is what tokens are bound to: a client certificate (RFC 8705 §3), the key of DPoP proofs (RFC 9449 §6), both or nothing.
type binding struct {
	x5t, jkt string // thumbprints, or ""
}

// tokenType returns the token_type of a token response (RFC 9449 §5).
func (b binding) tokenType() string {
	if b.jkt != "" {
		return "DPoP"
	}
	return "Bearer"
}

// confirmation returns the claim cnf of an access token (RFC 8705 §3.1, RFC 9449 §6.1).
func (b binding) confirmation() map[string]any {
	cnf := map[string]any{}
	if b.x5t != "" {
		cnf["x5t#S256"] = b.x5t
	}
	if b.jkt != "" {
		cnf["jkt"] = b.jkt
	}
	return cnf
}

// RequireDPoPNonce makes an endpoint, Token or Userinfo, accept only proofs with this nonce, which its responses name (RFC 9449 §8, §9).
// The empty nonce is the default: none is required.
func (p *Provider) RequireDPoPNonce(e Endpoint, nonce string) {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	p.controls.nonces[e] = nonce
}

func (c *controls) nonce(e Endpoint) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nonces[e]
}

// tokenProof returns the thumbprint of the key of a token request's proof; "" without a proof, which a client with DPoP must send.
func (p *Provider) tokenProof(r *http.Request, client *Client) (jkt string, err error) {
	if len(r.Header["Dpop"]) == 0 && !client.DPoP {
		return "", nil
	}
	jkt, err = p.verifyProof(r, Token, "")
	switch {
	case errors.Is(err, errNonce):
		return "", refusal("use_dpop_nonce", "The DPoP proof needs the nonce in the header DPoP-Nonce.")
	case err != nil:
		return "", refusal("invalid_dpop_proof", "The DPoP proof is refused: "+err.Error()+".")
	}
	return jkt, nil
}

// userinfoProof verifies the proof of a userinfo request. A token that is bound to a key needs the scheme DPoP, and the scheme needs such
// a token (RFC 9449 §7.1, §7.2).
func (p *Provider) userinfoProof(w http.ResponseWriter, r *http.Request, claims map[string]any, token string) *oauthError {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	cnf, _ := claims["cnf"].(map[string]any)
	bound, isBound := cnf["jkt"]
	dpop := strings.EqualFold(scheme, "DPoP")
	if !isBound && !dpop {
		return nil
	}
	if !isBound || !dpop {
		return dpopChallenge("invalid_token", "The scheme DPoP and tokens that are bound to a key belong together.")
	}
	p.tellNonce(w, Userinfo)
	jkt, err := p.verifyProof(r, Userinfo, token)
	switch {
	case errors.Is(err, errNonce):
		return dpopChallenge("use_dpop_nonce", "The DPoP proof needs the nonce in the header DPoP-Nonce.")
	case err != nil:
		return dpopChallenge("invalid_dpop_proof", "The DPoP proof is refused: "+err.Error()+".")
	case jkt != bound:
		return dpopChallenge("invalid_token", "The access token is bound to another key.")
	}
	return nil
}

// tellNonce sets DPoP-Nonce if the endpoint requires a nonce.
func (p *Provider) tellNonce(w http.ResponseWriter, e Endpoint) {
	if nonce := p.controls.nonce(e); nonce != "" {
		w.Header().Set("DPoP-Nonce", nonce)
	}
}

func dpopChallenge(code, description string) *oauthError {
	description = strings.ReplaceAll(description, `"`, "'")
	e := challenge(http.StatusUnauthorized, code, description)
	e.Challenge = `DPoP algs="ES256 PS256 EdDSA", error="` + code + `", error_description="` + description + `"`
	return e
}

// errNonce says that a proof doesn't have the nonce that the endpoint requires.
var errNonce = errors.New("it has another nonce")

// verifyProof verifies the proof of a request to an endpoint (RFC 9449 §4.3) and returns the thumbprint of its key. token is the access
// token of the request, or "".
func (p *Provider) verifyProof(r *http.Request, e Endpoint, token string) (jkt string, err error) {
	if len(r.Header["Dpop"]) != 1 {
		return "", errors.New("expected one header DPoP")
	}
	proof, err := jwt.ParseSigned(r.Header.Get("DPoP"), []jose.SignatureAlgorithm{jose.ES256, jose.PS256, jose.EdDSA})
	if err != nil {
		return "", err
	}
	header := proof.Headers[0]
	if header.ExtraHeaders[jose.HeaderType] != "dpop+jwt" || header.JSONWebKey == nil || !header.JSONWebKey.IsPublic() {
		return "", errors.New("expected typ dpop+jwt and a public key in jwk")
	}
	var claims proofClaims
	if err := proof.Claims(header.JSONWebKey, &claims); err != nil {
		return "", err
	}
	if err := p.judgeProof(&claims, r, e, token); err != nil {
		return "", err
	}
	sum, err := header.JSONWebKey.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// proofClaims are the claims of a proof (RFC 9449 §4.2).
type proofClaims struct {
	JTI   string `json:"jti"`
	HTM   string `json:"htm"`
	HTU   string `json:"htu"`
	IAT   int64  `json:"iat"`
	ATH   string `json:"ath"`
	Nonce string `json:"nonce"`
}

// proofLifetime is how far the iat of a proof may be from now.
const proofLifetime = time.Minute

func (p *Provider) judgeProof(c *proofClaims, r *http.Request, e Endpoint, token string) error {
	sum := sha256.Sum256([]byte(token))
	ath, now := base64.RawURLEncoding.EncodeToString(sum[:]), p.now()
	age := now.Sub(time.Unix(c.IAT, 0))
	switch nonce := p.controls.nonce(e); {
	case c.HTM != r.Method:
		return fmt.Errorf("htm: expected %s, got %q", r.Method, c.HTM)
	case c.HTU != p.Issuer()+string(e) && (p.MTLSURL == "" || c.HTU != p.alias(e)):
		return fmt.Errorf("htu: expected %s, got %q", p.Issuer()+string(e), c.HTU)
	case age > proofLifetime || age < -proofLifetime:
		return errors.New("iat is too far from now")
	case token != "" && c.ATH != ath || token == "" && c.ATH != "":
		return errors.New("ath isn't the hash of the access token")
	case nonce != "" && c.Nonce != nonce:
		return errNonce
	case c.JTI == "" || !p.state.useOnce("proof "+c.JTI, now.Add(2*proofLifetime), now):
		return errors.New("jti is missing, or was used before")
	}
	return nil
}
