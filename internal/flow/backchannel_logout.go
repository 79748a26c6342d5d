package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// maxLogoutMark is the longest time for which a used logout token is remembered. A later use would end nothing that began since.
const maxLogoutMark = 24 * time.Hour

// serveBackchannel serves the back-channel logout endpoint (OIDC Back-Channel Logout §2.5 to §2.8).
func (p *providerLogout) serveBackchannel(r *auth.Request) (*auth.Result, error) {
	if r.Method != http.MethodPost {
		return nil, methodNotAllowed("POST")
	}
	text, err := logoutTokenIn(r)
	if err != nil {
		return p.refuseLogout(r, err)
	}
	token, err := oidc.VerifyLogoutToken(r.Context(), text, p.clients, r.ClientAddr)
	switch {
	case errors.Is(err, oidc.ErrUnavailable):
		return nil, issuerError(err)
	case err != nil:
		return p.refuseLogout(r, err)
	}
	if err := p.endOnce(r, token); err != nil {
		return nil, err
	}
	return &auth.Result{Answer: &auth.Answer{Status: http.StatusOK, Header: http.Header{"Cache-Control": {"no-store"}}}}, nil
}

// logoutTokenIn returns the logout token of a request: the only parameter logout_token of a form (§2.5). The error for a body that is too
// long or can't be read is an *auth.Error.
func logoutTokenIn(r *auth.Request) (string, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		return "", errors.New("expected Content-Type application/x-www-form-urlencoded")
	}
	form, err := r.Form(maxLogoutForm)
	if err != nil {
		return "", err
	}
	tokens := form.Values["logout_token"]
	if len(tokens) != 1 || tokens[0] == "" {
		return "", fmt.Errorf("expected a form with one logout_token, got %d", len(tokens))
	}
	return tokens[0], nil
}

// endOnce ends the logins that a logout token names. A token that was used before ends nothing. A token is used when everything that it
// ends is confirmed to be over: until then a repetition ends the rest.
func (p *providerLogout) endOnce(r *auth.Request, t *oidc.LogoutToken) error {
	mark := fmt.Appendf(nil, "logout token %q %q %q %q %q %d", t.Issuer.URL(), t.ClientIDs, t.ID, t.SID, t.Subject, t.Issued.Unix())
	used, err := p.marks.WasUsed(r.Context(), mark)
	if err != nil {
		return auth.Unavailable("session_store_unavailable", err)
	}
	if used {
		return nil
	}
	l := session.Logout{Issuer: t.Issuer.URL(), SID: t.SID, Subject: t.Subject, Issued: t.Issued}
	if _, err := p.endFor(r, backchannelName, t.ClientIDs, l); err != nil {
		return err
	}
	life := min(t.Until.Sub(p.now()), maxLogoutMark)
	if life <= 0 {
		return nil
	}
	if _, _, err := p.marks.MarkUsed(r.Context(), mark, life); err != nil {
		return auth.Unavailable("session_store_unavailable", err)
	}
	return nil
}

// refuseLogout answers 400 with JSON (§2.8). The cause is for the log only.
func (p *providerLogout) refuseLogout(r *auth.Request, err error) (*auth.Result, error) {
	if errors.As(err, new(*auth.Error)) {
		return nil, err
	}
	p.log.Info("logout token refused", "request_id", r.ID, "client", r.Client(), "error", err)
	body, err := json.Marshal(map[string]string{
		"error": "invalid_request", "error_description": "The request has no valid logout token.",
	})
	if err != nil {
		return nil, err
	}
	return &auth.Result{Answer: &auth.Answer{
		Status: http.StatusBadRequest, Reason: "logout_token_invalid", Body: append(body, '\n'),
		Header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}},
	}}, nil
}
