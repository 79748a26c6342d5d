package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/config"
	"sallyport/internal/console"
	"sallyport/internal/oidc"
	"sallyport/internal/proxy"
	"sallyport/internal/session"
)

// An about has the version of the program.
type about struct{ version, commit string }

// newConsole returns the console of the process. It shows the configuration that runs at the time of a request.
func (s *server) newConsole() *console.Console {
	return console.New(console.Config{
		Overview: s.overview, Routes: func() []console.Route { return s.builder.Load().consoleRoutes() }, Keys: s.consoleKeys,
		Sessions: s.consoleSessions, Refusals: s.consoleRefusals, Log: s.log,
		End: func(ctx context.Context, e console.Ending) (int, error) {
			return s.endSelected(ctx, s.builder.Load().sessionStores, e)
		},
	})
}

// adminConsole returns the console of the admin listener.
func (s *server) adminConsole() http.Handler {
	return console.NewAdmin(console.AdminConfig{
		Console: s.state.console, IsLocal: isLocal,
		Token:    func() string { return string(s.running().Admin.Token) },
		Loopback: func() bool { return isLoopback(s.running().Admin.Listen) },
		LoggedIn: func(client string, ok bool) {
			action := audit.ConsoleLogin
			if !ok {
				action = audit.ConsoleRefused
				s.log.Warn("a login to the console is refused: the token is wrong", "client", client)
			}
			s.state.audit.Write(audit.Event{Event: audit.Administration, Action: action, Client: client})
		},
	})
}

// isLoopback reports whether a listener can be reached only from this machine.
func isLoopback(listen string) bool {
	at, err := netip.ParseAddrPort(strings.Replace(listen, "localhost:", "127.0.0.1:", 1))
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// console returns the pages of a route with console: true. They are nil where no process runs.
func (b *builder) console(base string) proxy.OwnPages {
	pages := b.state.console
	return func(w http.ResponseWriter, r *auth.Request, i *auth.Identity) { pages.Person(w, r, i, base) }
}

// keptRefusals returns how many refusals are kept: none if no console shows them.
func keptRefusals(file *config.File) int {
	isConsole := func(r config.Route) bool { return r.Route.Console }
	if file.Admin.Listen == "off" && !slices.ContainsFunc(file.Routes, isConsole) {
		return 0
	}
	return file.Admin.RecentRefusals
}

// overview returns the state of the process.
func (s *server) overview() console.Overview {
	b := s.builder.Load()
	_, state := s.isReady()
	o := console.Overview{
		Version: s.about.version, Commit: s.about.commit, Started: s.readiness.start, Loaded: b.loaded, File: b.file.Name, Digest: b.digest,
		Routes: len(b.file.Routes), Watched: b.file.Watch, Warnings: b.file.Warnings(), State: state, Parts: s.readiness.parts(),
	}
	if refused := s.refused.Load(); refused != nil {
		o.Refused = &console.Reload{Time: refused.time, Problems: strings.Split(refused.err.Error(), "\n")}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.doors {
		l := console.Listener{For: d.name, Address: d.socket.Addr().String(), TLS: d.tls != nil}
		if by := d.forwardAuth.Proxy; by != "" {
			l.For = "questions of " + by
		}
		o.Listeners = append(o.Listeners, l)
	}
	return o
}

// parts returns the dependencies with the outcomes of their last probes.
func (r *readiness) parts() (all []console.Part) {
	for _, key := range r.filter(func(*dependencyState) bool { return true }) {
		state := r.state(key)
		kind, name, _ := strings.Cut(key, " ")
		part := console.Part{Kind: kind, Name: name, Answered: state.answered}
		if state.err != nil {
			part.Failure = state.err.Error()
		}
		all = append(all, part)
	}
	return all
}

// consoleRoutes returns the routes of the configuration.
func (b *builder) consoleRoutes() (all []console.Route) {
	for n := range b.file.Routes {
		all = append(all, consoleRoute(&b.file.Routes[n], b.routes[n]))
	}
	return all
}

func consoleRoute(c *config.Route, r *proxy.Route) console.Route {
	route := console.Route{
		Name: c.Name, Place: c.Place, Hosts: c.Route.Hosts, Paths: c.Route.Paths, PublicURL: c.Route.PublicURL,
		Targets: consoleTargets(c, r), Requires: c.Route.ACL.Describe(),
	}
	switch {
	case c.Route.Console:
		route.Kind = "console"
	case c.MCP != nil:
		route.Kind = "MCP server"
	}
	if c.HasOIDC {
		for _, part := range c.Parts() {
			route.Issuers = append(route.Issuers, oidc.IssuerOf(part.OIDC.Flow.Client.Issuer))
			route.Requires = append(route.Requires, part.OIDC.Authz.Describe()...)
		}
	}
	for _, entry := range r.Chain {
		if entry.Name != "" && !slices.Contains(route.Flows, entry.Name) {
			route.Flows = append(route.Flows, entry.Name)
		}
	}
	for n := range c.Rules {
		route.Rules = append(route.Rules, consoleRule(&c.Rules[n], r.Rules[n]))
	}
	return route
}

func consoleRule(c *config.Rule, r *proxy.Rule) console.Rule {
	return console.Rule{
		Place: c.Place, Matches: c.DescribeMatch(), Auth: string(r.Auth), Requires: c.Describe(), ReportOnly: c.ReportOnly,
	}
}

// consoleTargets returns the targets of a route's upstream.
func consoleTargets(c *config.Route, r *proxy.Route) (all []console.Target) {
	for _, t := range r.Upstream.Targets() {
		all = append(all, console.Target{Name: t.Name, Usable: t.Usable})
	}
	if url := c.Route.Upstream.URL; len(all) == 0 && url != "" {
		all = append(all, console.Target{Name: url, Usable: true})
	}
	return all
}

// consoleKeys returns the issuers and their keys, and those of the gate.
func (s *server) consoleKeys(ctx context.Context) (keys console.Keys) {
	for _, i := range s.state.issuers.all() {
		issuer := console.Issuer{URL: i.URL(), KeysFetched: i.KeysFetched()}
		_, issuer.Discovered = i.Document()
		if err := i.Failure(); err != nil {
			issuer.Failure = err.Error()
		}
		for _, text := range i.PublicKeys() {
			issuer.Keys = append(issuer.Keys, consoleKey(text))
		}
		keys.Issuers = append(keys.Issuers, issuer)
	}
	slices.SortFunc(keys.Issuers, func(a, b console.Issuer) int { return strings.Compare(a.URL, b.URL) })
	set, err := s.builder.Load().publicKeys(ctx)
	if err != nil {
		s.log.Warn("the gate's public keys can't be read", "error", err)
		keys.Failure = "Keys of the gate can't be read at the moment: see the log."
	}
	for n := range set.Keys {
		if text, err := set.Keys[n].MarshalJSON(); err == nil {
			keys.Own = append(keys.Own, consoleKey(text))
		}
	}
	return keys
}

// consoleKey returns the properties of a JSON Web Key. Those that aren't texts are left out.
func consoleKey(text []byte) console.Key {
	var members map[string]json.RawMessage
	json.Unmarshal(text, &members)
	member := func(name string) (value string) {
		json.Unmarshal(members[name], &value)
		return value
	}
	kind := strings.TrimSpace(member("kty") + " " + member("crv"))
	return console.Key{ID: member("kid"), Type: kind, Algorithm: member("alg"), Use: member("use")}
}

func selectionOf(q console.Query) session.Selection {
	return session.Selection{Issuer: q.Issuer, ClientID: q.ClientID, Subject: q.Subject, SID: q.SID, Route: q.Route}
}

func consoleQuery(q session.Selection) console.Query {
	return console.Query{Issuer: q.Issuer, ClientID: q.ClientID, Subject: q.Subject, SID: q.SID, Route: q.Route}
}

// consoleSessions returns a page of the selected sessions.
func (s *server) consoleSessions(ctx context.Context, q console.Query, page string) (all console.Sessions, err error) {
	stores := s.builder.Load().sessionStores
	if len(stores) == 0 {
		all.None = "No route has sessions in memory or Redis, and those in cookies can't be listed or ended."
		return all, nil
	}
	found, next, err := listIn(ctx, stores, selectionOf(q), page, usualSessions)
	if errors.Is(err, session.ErrPage) {
		return all, console.ErrPage
	}
	for _, l := range found {
		all.Found = append(all.Found, console.Session{
			Key: l.Key(), Subject: l.Subject, SID: l.SID, Issuer: l.Issuer, ClientID: l.ClientID, Route: l.Route, Client: l.Client,
			Created: l.Created.UTC().Truncate(time.Second), Used: l.Used.UTC().Truncate(time.Second), Storage: l.storage,
		})
	}
	all.Next = next
	return all, err
}

// consoleRefusals returns the recent refusals.
func (s *server) consoleRefusals() (all []console.Refusal) {
	for _, r := range s.state.refusals.All() {
		all = append(all, console.Refusal{
			Number: r.Number, Time: r.Time, RequestID: r.RequestID, Method: r.Method, Origin: r.Origin, Path: r.Path, Client: r.Client,
			Route: r.Route, Endpoint: r.Endpoint, Flow: r.Flow, Subject: r.Subject, Reason: r.Reason, Status: r.Status,
			Explain: func() console.Explanation { return explanation(r.Trace()) },
		})
	}
	return all
}

func explanation(t *proxy.Trace) (e console.Explanation) {
	for _, step := range t.Steps {
		e.Steps = append(e.Steps, console.Step{Name: step.Name, Detail: step.Detail, Refuses: t.Refuses(step)})
	}
	e.Result = t.Result()
	return e
}
