package flow

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"sallyport/internal/auth"
)

// A flowMerger sorts the flows of the parts of a route by their role.
type flowMerger struct {
	builtIn auth.Chain     // the first flow for tokens of the built-in authorization server
	logouts []*sessionFlow // of all parts
	tokens  tokensByIssuer
	others  auth.Chain // the first flow of each kind
	seen    map[*Kind]bool
	logins  issuerLogins
}

// mergedChain returns the chain of a route with several issuers: the sessions of all parts, then the access tokens, then the
// flows that exchange a credential, then the logins.
func mergedChain(bases []*builtPart) auth.Chain {
	m := &flowMerger{seen: map[*Kind]bool{}}
	for _, b := range bases {
		m.add(b)
	}
	chain := append(slices.Clone(bases[0].users), m.builtIn...)
	chain = append(append(chain, auth.Entry{Flow: m.tokens}), m.others...)
	if len(m.logouts) > 0 {
		chain = append(chain, auth.Entry{Flow: sharedLogout(m.logouts)})
	}
	if len(m.logins.list) > 0 {
		chain = append(chain, auth.Entry{Flow: &m.logins})
	}
	return chain
}

func (m *flowMerger) add(b *builtPart) {
	var tokens auth.Chain
	for _, e := range b.entries() {
		switch e.kind.role {
		case roleSession:
			m.logouts = append(m.logouts, b.withLogout)
		case roleBuiltIn:
			if m.builtIn == nil {
				m.builtIn = auth.Chain{e.Entry}
			}
		case roleToken, roleReject:
			tokens = append(tokens, e.Entry)
		case roleLogin:
			m.logins.add(b)
		default:
			if !m.seen[e.kind] {
				m.seen[e.kind] = true
				m.others = append(m.others, e.Entry)
			}
		}
	}
	m.tokens = append(m.tokens, issuerTokens{b.tokens, b.issuers(), tokens})
}

// sharedLogout ends the sessions at all issuers. The browser continues at the provider of the first issuer that it had a
// session at.
type sharedLogout []*sessionFlow

func (sharedLogout) Authenticate(*auth.Request) (*auth.Result, error) {
	return nil, auth.ErrNoCredential
}

// Endpoints returns the endpoints of logouts: those for the browser, each for all parts, the check of the way back, and those for the
// providers.
func (l sharedLogout) Endpoints() []auth.Endpoint {
	byName := map[string][]auth.Endpoint{}
	var order []string
	var returns logoutReturns
	var bases []*base
	for _, s := range l {
		bases = append(bases, s.base)
		if len(s.logout.returns.targets) > 0 {
			returns = append(returns, s.logout.returns)
		}
		for n, e := range s.logout.endpoints() {
			key := fmt.Sprint(e.Path, n)
			if byName[key] == nil {
				order = append(order, key)
			}
			byName[key] = append(byName[key], e)
		}
	}
	var all []auth.Endpoint
	for _, key := range order {
		all = append(all, mergedEndpoint(byName[key]))
	}
	if len(returns) > 0 {
		all = append(all, returns.endpoint())
	}
	return append(all, newProviderLogout(bases).endpoints()...)
}

// mergedEndpoint returns one endpoint for a list of endpoints that each serve one issuer. All of them serve the request, also after an
// error.
func mergedEndpoint(list []auth.Endpoint) auth.Endpoint {
	e := list[0]
	if e.Matches != nil {
		e.Matches = func(r *auth.Request) bool {
			return slices.ContainsFunc(list, func(one auth.Endpoint) bool { return one.Matches(r) })
		}
	}
	e.Serve = func(r *auth.Request) (*auth.Result, error) {
		var header http.Header
		var chosen *auth.Result
		var failed error
		for _, one := range list {
			res, err := one.Serve(r)
			if err != nil {
				failed, res = cmp.Or(failed, err), &auth.Result{Header: auth.HeaderOf(err)}
			}
			if chosen == nil || isBetterLogout(res.Answer, chosen.Answer) {
				chosen = res
			}
			if cookies := res.Header["Set-Cookie"]; len(cookies) > 0 {
				header = auth.MergeHeader(header, http.Header{"Set-Cookie": cookies})
			}
		}
		if failed != nil {
			return nil, withCookies(failed, header)
		}
		out := *chosen
		out.Header = chosen.Header.Clone()
		if out.Header == nil {
			out.Header = http.Header{}
		}
		if len(header["Set-Cookie"]) > 0 {
			out.Header["Set-Cookie"] = header["Set-Cookie"]
		}
		return &out, nil
	}
	return e
}

// withCookies returns an error with all cookies of header, which has the error's own among them.
func withCookies(err error, header http.Header) error {
	e := *auth.AsError(err)
	e.Header = header
	return &e
}

// isBetterLogout reports whether the browser should receive the logout answer a rather than b: the answer of an issuer at
// which it had a session, and of those one that leads to the provider.
func isBetterLogout(a, b *auth.Answer) bool {
	hadSession := func(a *auth.Answer) bool { return a != nil && a.Reason == "" }
	if hadSession(a) != hadSession(b) {
		return hadSession(a)
	}
	return continuesAtProvider(a) && !continuesAtProvider(b)
}

// add adds the login of a part.
func (l *issuerLogins) add(b *builtPart) {
	l.arg, l.home = b.LoginIssuerArg, b.Base
	l.list = append(l.list, issuerLogin{b.part.Name, b.part.Title, b.part.Domains, b.issuer().URL(), b.login})
}
