package flow

import (
	"errors"
	"fmt"
	"net/http"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// maxSID is the length of the longest sid of a front-channel logout.
const maxSID = 255

// serveFrontchannel serves the front-channel logout endpoint (OIDC Front-Channel Logout §2), which a page of the provider shows in a
// frame. Without both iss and sid nothing ends: another site could show the frame, too, but it doesn't know the sid.
func (p *providerLogout) serveFrontchannel(r *auth.Request) (*auth.Result, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed("GET")
	}
	iss, sid := r.Query()["iss"], r.Query()["sid"]
	if len(iss) != 1 || len(sid) != 1 || iss[0] == "" || sid[0] == "" || len(sid[0]) > maxSID {
		return p.refuseFrame(r, fmt.Errorf("expected one iss and one sid of at most %d bytes, got %d and %d", maxSID, len(iss), len(sid)))
	}
	issuer, err := oidc.IssuerNamed(r.Context(), iss[0], p.issuers())
	switch {
	case errors.Is(err, oidc.ErrUnavailable):
		return nil, issuerError(err)
	case err != nil:
		return p.refuseFrame(r, err)
	}
	leave, err := issuer.Admit(r.Context(), r.ClientAddr)
	if err != nil {
		return nil, issuerError(err)
	}
	ended, err := p.endFor(r, frontchannelName, p.clientIDs(issuer), session.Logout{Issuer: issuer.URL(), SID: sid[0], Unproven: true})
	leave(ended == 0) // as far as the gate knows, the client made the sid up
	if err != nil {
		return nil, err
	}
	return frame(http.StatusOK, "Logged out"), nil
}

func (p *providerLogout) issuers() (all []*oidc.Issuer) {
	for _, c := range p.clients {
		all = append(all, c.Issuer())
	}
	return all
}

// clientIDs returns the clients of an issuer.
func (p *providerLogout) clientIDs(i *oidc.Issuer) (all []string) {
	for _, c := range p.clients {
		if c.Issuer() == i {
			all = append(all, c.ID)
		}
	}
	return all
}

// refuseFrame answers 400. The cause is for the log only.
func (p *providerLogout) refuseFrame(r *auth.Request, err error) (*auth.Result, error) {
	p.log.Info("front-channel logout refused", "request_id", r.ID, "client", r.Client(), "error", err)
	res := frame(http.StatusBadRequest, "This address needs iss and sid of an OpenID Provider")
	res.Answer.Reason = "logout_frame_invalid"
	return res, nil
}

// frame returns an answer that every site may show in a frame (§2): it has neither X-Frame-Options nor frame-ancestors, and nothing that a
// click could change.
func frame(status int, title string) *auth.Result {
	return &auth.Result{Answer: &auth.Answer{
		Status: status, Body: []byte("<!doctype html><title>" + title + "</title>\n"),
		Header: http.Header{
			"Content-Type": {"text/html; charset=utf-8"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"},
			"Content-Security-Policy": {"default-src 'none'"}, "Referrer-Policy": {"no-referrer"},
		},
	}}
}
