package flow

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/session"
)

// LogoutSettings say where a person goes after logout.
type LogoutSettings struct {
	LogoutRedirectURI []string `yaml:"logout_redirect_uri" group:"issuer"` // post_logout_redirect_uri (RP-Initiated Logout §3); a path is on the request's origin
}

// logout ends a session here and then at the provider (OpenID Connect RP-Initiated Logout 1.0).
type logout struct {
	sessions *sessions
	path     string
	home     string // where a person can go on
	redirect []string
	log      *slog.Logger
}

func (l *logout) serve(r *auth.Request) (*auth.Result, error) {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		return nil, methodNotAllowed("GET, POST")
	case !l.meant(r):
		return &auth.Result{Answer: &auth.Answer{Status: http.StatusOK, Page: &auth.Page{
			Title: "Log out?", Text: "You are about to log out.", Link: l.path, Action: "Log out", Post: true,
		}}}, nil
	}
	identity, err := l.end(r)
	if err != nil {
		return nil, err
	}
	header := l.sessions.clearCookie(r)
	header.Set("Location", l.next(r, identity))
	if header.Get("Location") != "" {
		return &auth.Result{Header: header, Answer: &auth.Answer{Status: http.StatusSeeOther}}, nil
	}
	header.Del("Location")
	return &auth.Result{Header: header, Answer: &auth.Answer{Status: http.StatusOK, Page: &auth.Page{
		Title: "Logged out", Text: "You are logged out.", Link: r.Origin + l.home, Action: "Log in again",
	}}}, nil
}

// meant reports whether the person meant to log out: another site's link or form must not do it (Fetch Metadata). A GET
// that doesn't say where it comes from isn't believed; a POST is, because SameSite=Lax keeps the cookie from foreign ones.
func (l *logout) meant(r *auth.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if r.Method == http.MethodGet {
		return site == "same-origin" || site == "none"
	}
	return site == "" || site == "same-origin" || site == "none"
}

// end ends the request's session and returns whose it was; nil if there was none.
func (l *logout) end(r *auth.Request) (*auth.Identity, error) {
	f := l.sessions
	id, found := f.id(r)
	if !found {
		return nil, nil
	}
	opened, err := f.store.Open(r.Context(), id)
	if errors.Is(err, session.ErrNotFound) {
		return nil, nil
	}
	if err == nil {
		err = f.store.End(context.WithoutCancel(r.Context()), opened.ID)
	}
	if err != nil {
		return nil, auth.Unavailable("session_store_unavailable", err)
	}
	a := opened.Session.Audience(f.audience, f.client.Issuer().URL(), f.client.ID)
	if a == nil {
		return nil, nil
	}
	l.log.Info("logout", "request_id", r.ID, "issuer", a.Issuer, "sub", a.Subject)
	return a.Identity, nil
}

// next is where the browser goes after the session here has ended: to the provider, so that its session ends too, else to
// logout_redirect_uri, else nowhere.
func (l *logout) next(r *auth.Request, identity *auth.Identity) string {
	target := ""
	if len(l.redirect) > 0 {
		target = l.redirect[0]
	}
	if strings.HasPrefix(target, "/") {
		target = r.Origin + target
	}
	if identity == nil {
		return target
	}
	address, err := l.sessions.client.EndSessionURL(r.Context(), identity.Tokens.IDToken, target)
	if err != nil {
		l.log.Warn("the provider's session goes on: its metadata can't be had", "request_id", r.ID, "error", err)
	}
	if address == "" {
		return target
	}
	return address
}

func methodNotAllowed(allow string) error {
	return &auth.Error{Status: http.StatusMethodNotAllowed, Description: "This address doesn't take that method.", Reason: "method_not_allowed",
		Err: errors.New("allowed: " + allow)}
}
