package flow

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// A providerLogout ends logins of a route's issuers and clients when an OpenID Provider says that they are over: by a request of its own
// (back-channel) or by a frame in the user's browser (front-channel). Its endpoints need no cookie: the store's index finds the logins.
type providerLogout struct {
	base    string         // the first path of the route
	clients []*oidc.Client // of the issuers whose logins the index has
	stores  []*session.Sessions
	all     func() []*session.Sessions // the stores of all routes; nil: stores has them
	marks   *session.Sessions          // remembers the logout tokens that were used
	now     func() time.Time
	log     *slog.Logger
	audit   *audit.Log
	route   string
}

// indexesLogins reports whether the store of a part's sessions finds logins without their cookies.
func indexesLogins(v view) bool {
	return slices.Contains([]string{"memory", "redis"}, of[session.Settings](v).Storage)
}

// newProviderLogout returns the endpoints for the parts of a route that have sessions.
func newProviderLogout(bases []*base) *providerLogout {
	first := bases[0]
	p := &providerLogout{base: first.Base, all: first.AllSessions, now: first.Now, log: first.Log, audit: first.Audit, route: first.Route}
	for _, b := range bases {
		if !indexesLogins(b.view) {
			continue
		}
		p.clients = append(p.clients, b.Clients...)
		if p.marks == nil {
			p.marks = b.Sessions
		}
		if !slices.Contains(p.stores, b.Sessions) {
			p.stores = append(p.stores, b.Sessions)
		}
	}
	return p
}

// backchannelPath and frontchannelPath return the paths of the endpoints on a route whose first path is base.
func backchannelPath(base string) string  { return PathBelow(base, "oauth2/backchannel-logout") }
func frontchannelPath(base string) string { return PathBelow(base, "oauth2/frontchannel-logout") }

func (p *providerLogout) endpoints() []auth.Endpoint {
	return []auth.Endpoint{
		{Name: backchannelName, Path: backchannelPath(p.base), Serve: p.whereIndexed(p.serveBackchannel)},
		{Name: frontchannelName, Path: frontchannelPath(p.base), Serve: p.whereIndexed(p.serveFrontchannel)},
	}
}

// The names of the endpoints in the log.
const (
	backchannelName  = "backchannel-logout"
	frontchannelName = "frontchannel-logout"
)

// whereIndexed returns serve, or a function that answers 404 if no store of the route has an index.
func (p *providerLogout) whereIndexed(serve func(*auth.Request) (*auth.Result, error)) func(*auth.Request) (*auth.Result, error) {
	if len(p.clients) > 0 {
		return serve
	}
	return func(*auth.Request) (*auth.Result, error) {
		return nil, &auth.Error{Status: http.StatusNotFound, Reason: "logout_not_indexed", Description: "There is nothing at this address."}
	}
}

// end ends the logins of an issuer and a client in every store of the process, also when a store fails. It returns their number. The error
// means that not every deletion is confirmed; then the caller must try again.
func (p *providerLogout) end(ctx context.Context, l session.Logout) (ended int, err error) {
	stores := p.stores
	if p.all != nil {
		stores = slices.Clone(p.stores)
		for _, s := range p.all() {
			if !slices.Contains(stores, s) {
				stores = append(stores, s)
			}
		}
	}
	var failed []error
	for _, s := range stores {
		n, err := s.EndLogins(ctx, l)
		ended += n
		failed = append(failed, err)
	}
	return ended, errors.Join(failed...)
}

// endFor calls end for each of the clients, and returns how many logins ended. Confirmed logouts are logged.
func (p *providerLogout) endFor(r *auth.Request, channel string, clientIDs []string, l session.Logout) (ended int, err error) {
	ctx := context.WithoutCancel(r.Context()) // a logout that has begun goes on when the caller gives up
	var failed []error
	for _, id := range clientIDs {
		l.ClientID = id
		n, err := p.end(ctx, l)
		ended += n
		failed = append(failed, err)
		p.auditLogout(r, channel, l, n)
	}
	if err := errors.Join(failed...); err != nil {
		return ended, auth.Unavailable("session_store_unavailable", err)
	}
	p.log.Info("logout by the provider", "request_id", r.ID, "channel", channel, "issuer", l.Issuer, "client_ids", clientIDs,
		"sub", l.Subject, "ended", ended)
	return ended, nil
}

// auditLogout writes a logout of n logins to the audit stream, unless there was none.
func (p *providerLogout) auditLogout(r *auth.Request, channel string, l session.Logout, n int) {
	if n == 0 {
		return
	}
	how := audit.ByBackChannel
	if channel == frontchannelName {
		how = audit.ByFrontChannel
	}
	p.audit.Write(audit.Event{
		Event: audit.Logout, How: how, RequestID: r.ID, Client: r.Client(), Route: p.route,
		Issuer: l.Issuer, Subject: l.Subject, ClientID: l.ClientID, Ended: &n,
	})
}
