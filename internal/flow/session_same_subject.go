package flow

import (
	"context"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/session"
)

// endOtherSubjects ends the browser's other logins at the issuer of identity, if they are of another subject
// (session_enforce_same_subject). It finds them by the cookies of the request, whatever their names are. A login that is bound to
// attributes which the request doesn't have goes on.
func (f *sessions) endOtherSubjects(r *auth.Request, identity *auth.Identity) error {
	if !f.sameSubject {
		return nil
	}
	ctx := context.WithoutCancel(r.Context())
	isOther := func(l *session.Login) bool {
		return l.Issuer == identity.Issuer && l.Subject != identity.Subject && boundTo(l).differs(r, l) == ""
	}
	for _, c := range r.AllCookies() {
		id, ok := f.keyring.OpenID(c.Name, c.Value)
		if !ok {
			continue
		}
		ended, err := f.store.EndIf(ctx, id, isOther)
		if err == nil && !ended && len(f.remember) > 0 { // it may be the ID of a remember cookie
			var s *session.Session
			s, err = f.store.EndRemembered(ctx, id, isOther)
			ended = s != nil
		}
		if err != nil {
			return auth.Unavailable("session_store_unavailable", err)
		}
		if ended {
			f.log.Info("session ended: the browser logged in as another subject (session_enforce_same_subject)",
				"request_id", r.ID, "issuer", identity.Issuer, "sub", identity.Subject)
			f.audit.Write(audit.Event{
				Event: audit.Logout, How: audit.ByOtherSubject, RequestID: r.ID, Client: r.Client(), Route: f.route,
				Issuer: identity.Issuer,
			})
		}
	}
	return nil
}
