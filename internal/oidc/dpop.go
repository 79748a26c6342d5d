package oidc

import (
	"errors"
	"fmt"
	"net/http"

	"sallyport/internal/auth"
	"sallyport/internal/dpop"
)

// BindsTokens reports whether the client asks for tokens that are bound to a key (client_dpop).
func (c *Client) BindsTokens() bool { return c.settings.ClientDPoP }

// keyOf returns the key to which the access token of t is bound; nil if it is bound to none of the gate.
func keyOf(t auth.Tokens) (*dpop.Key, error) {
	if t.DPoPKey == nil {
		return nil, nil
	}
	return dpop.ParseKey(t.DPoPKey)
}

// bind stores the key in tokens that were issued for a proof with it. An access token that isn't bound to it is a mistake of the operator:
// whoever stole the token could use it.
func bind(t *auth.Tokens, key *dpop.Key) (err error) {
	if t.AccessToken == "" {
		return fmt.Errorf("%w: its token_type is %q, expected DPoP: "+
			"let the issuer bind the tokens of client_id to the key of DPoP proofs, "+
			"or take client_dpop out", ErrNotSetUp, clip(t.TokenType))
	}
	t.DPoPKey, err = key.Bytes()
	return err
}

// checkJKT checks that an access token with these claims is bound to the key of its tokens, if it says to which (RFC 9449 §6.1).
func checkJKT(t auth.Tokens, claims auth.Claims) error {
	key, err := keyOf(t)
	if key == nil {
		return err
	}
	bound, found := claims.At([]string{"cnf", "jkt"})
	if !found {
		return nil
	}
	if jkt, err := key.Thumbprint(); err != nil || bound != jkt {
		return errors.Join(errors.New("cnf: the access token is bound to another key than that of the DPoP proof"), err)
	}
	return nil
}

// A prover sends requests to one endpoint of the authorization server with DPoP proofs.
type prover struct {
	issuer   *Issuer
	client   *http.Client
	key      *dpop.Key // nil: requests have no proof
	endpoint string    // whose nonces are distinguished from those of others: a server may have one for tokens, and one for userinfo
	token    string    // the access token that the request has in Authorization; empty: none
}

// send sends the request that newRequest returns. If the server asks for another nonce, it sends one more (RFC 9449 §8, §9), for which it
// calls newRequest again.
func (p *prover) send(newRequest func() (*http.Request, error)) (*response, error) {
	res, again, err := p.attempt(newRequest)
	if again {
		res, _, err = p.attempt(newRequest)
	}
	return res, err
}

// attempt sends one request. again is true if the server asks for a nonce that the proof didn't have.
func (p *prover) attempt(newRequest func() (*http.Request, error)) (res *response, again bool, err error) {
	r, err := newRequest()
	if err != nil {
		return nil, false, err
	}
	if p.key == nil {
		res, err = p.issuer.do(p.client, p.endpoint, r)
		return res, false, err
	}
	server := p.endpoint + " endpoint of " + r.URL.Scheme + "://" + r.URL.Host
	nonce := p.issuer.nonces.Of(server)
	if err := p.prove(r, nonce); err != nil {
		return nil, false, err
	}
	if res, err = p.issuer.do(p.client, p.endpoint, r); err != nil {
		return nil, false, err
	}
	next := p.issuer.nonces.Learn(server, res.header)
	return res, next != "" && next != nonce && res.asksNonce(), nil
}

// prove adds a proof to a request, and sends its access token by the scheme DPoP (RFC 9449 §7.1).
func (p *prover) prove(r *http.Request, nonce string) error {
	proof, err := p.key.Proof(dpop.Claims{
		Method: r.Method, URL: r.URL, At: p.issuer.now(), Nonce: nonce, AccessToken: p.token,
	})
	if err != nil {
		return err
	}
	r.Header.Set("DPoP", proof)
	if p.token != "" {
		r.Header.Set("Authorization", "DPoP "+p.token)
	}
	return nil
}

// asksNonce reports whether the server asks for another nonce: a token endpoint in the body (RFC 9449 §8), userinfo in a challenge (§9).
func (r *response) asksNonce() bool {
	if r.status != http.StatusBadRequest && r.status != http.StatusUnauthorized {
		return false
	}
	if dpop.AsksNonce(r.header) {
		return true
	}
	object, err := r.object()
	return err == nil && object["error"] == dpop.ErrorUseNonce
}
