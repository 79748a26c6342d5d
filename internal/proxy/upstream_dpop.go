package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/dpop"
)

// proves reports whether requests of an identity have a DPoP proof for the upstream: its access token is bound to a key of the gate.
func (p *headerPlan) proves(i *auth.Identity) bool {
	return p.dpop && i != nil && i.Tokens.AccessToken != "" && len(i.Tokens.DPoPKey) > 0
}

// A prover adds DPoP proofs to one request for the upstream.
type prover struct{ tokens auth.Tokens }

type proverKey struct{}

// withProver returns the request with a prover of its access token, by which Upstream.RoundTrip adds the proof. It can't be added before,
// because each attempt to send the request needs another one.
func withProver(out *http.Request, t auth.Tokens) *http.Request {
	return out.WithContext(context.WithValue(out.Context(), proverKey{}, &prover{t}))
}

// proverOf returns the prover of a request; nil if the gate adds no proof.
func proverOf(r *http.Request) *prover {
	p, _ := r.Context().Value(proverKey{}).(*prover)
	return p
}

// errNonceAsked means that the upstream asks for another nonce, and the request can't be sent again.
var errNonceAsked = errors.New("the upstream asks for another nonce in the DPoP proof, " +
	"and the request was sent twice already, or its body is too long to be sent again")

// errNoProof means that the gate can't make a proof. The request was not sent.
var errNoProof = errors.New("a DPoP proof for the upstream can't be made")

// send sends a request with a proof. If the upstream asks for another nonce (RFC 9449 §9), it sends the request once more, which is
// possible if no more than maxReplayed bytes of its body were read.
func (p *prover) send(u *upstreamTarget, t *http.Transport, r *http.Request) (*http.Response, error) {
	key, err := dpop.ParseKey(p.tokens.DPoPKey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoProof, err)
	}
	if (r.Body == nil || r.Body == http.NoBody) && isSafeMethod(r.Method) {
		r.Body = io.NopCloser(strings.NewReader("")) // net/http would send a request without a body again, with the same proof
	}
	res, again, err := p.attempt(u, t, r, key)
	if err != nil || !again {
		return res, err
	}
	discard(res)
	next, err := copyRequest(r)
	if err != nil {
		return nil, errors.Join(errNonceAsked, err)
	}
	if res, again, err = p.attempt(u, t, next, key); again {
		discard(res)
		return nil, errNonceAsked
	}
	return res, err
}

// attempt sends the request once, with the upstream's newest nonce. again is true if the upstream asks for another one, and names it.
func (p *prover) attempt(u *upstreamTarget, t *http.Transport, r *http.Request, key *dpop.Key) (res *http.Response, again bool, err error) {
	nonce := u.nonces.Of(u.url.Host)
	proof, err := key.Proof(dpop.Claims{
		Method: r.Method, URL: &url.URL{Scheme: r.URL.Scheme, Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath},
		At: time.Now(), Nonce: nonce, AccessToken: p.tokens.AccessToken,
	})
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", errNoProof, err)
	}
	r.Header["Dpop"] = []string{proof} // in the place of the client's
	if res, err = t.RoundTrip(r); err != nil {
		return nil, false, err
	}
	next := u.nonces.Learn(u.url.Host, res.Header)
	return res, res.StatusCode == http.StatusUnauthorized && next != "" && next != nonce && dpop.AsksNonce(res.Header), nil
}

// copyRequest returns a copy of a request that was sent, to be sent again. It returns an error if the body can't be read again.
func copyRequest(r *http.Request) (*http.Request, error) {
	next := r.Clone(r.Context())
	b, ok := r.Body.(*bodyReader)
	if !ok {
		return next, nil
	}
	var err error
	next.Body, err = b.body.getBody()
	return next, err
}

// discard ends a response that isn't forwarded, so that its connection can be used again if it is short.
func discard(res *http.Response) {
	io.CopyN(io.Discard, res.Body, maxReplayed)
	res.Body.Close()
}

// hideChallenge removes the upstream's nonce and its DPoP challenges from a response: they answer the gate's proofs. If the client's own
// proof was forwarded, they are for the client.
func hideChallenge(res *http.Response) {
	if proverOf(res.Request) == nil && len(res.Request.Header["Dpop"]) > 0 {
		return
	}
	delete(res.Header, "Dpop-Nonce")
	lines, found := res.Header["Www-Authenticate"]
	if !found {
		return
	}
	if lines = dpop.WithoutDPoP(lines); len(lines) == 0 {
		delete(res.Header, "Www-Authenticate")
		return
	}
	res.Header["Www-Authenticate"] = lines
}
