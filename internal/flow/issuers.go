package flow

import (
	"fmt"
	"net/http"
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// IssuersSettings say how the issuer of a login is chosen, where a route has several.
type IssuersSettings struct {
	LoginIssuerArg string `yaml:"login_issuer_arg" place:"true" default:"login_issuer"` // the query argument that names it
}

// A Part is one issuer of a route that has several: its settings, and what its flows are built on.
type Part struct {
	Name     string
	Title    string   // on the page where people choose
	Domains  []string // of addresses in login_hint whose people log in here
	Settings *Settings
	Deps     Deps
}

// NewChainOf returns the chain of a route with several issuers: the flows of each, which never judge another issuer's
// tokens. Flows that pass a caller's credential on to an issuer are the first one's that has them.
func NewChainOf(parts []Part) (auth.Chain, error) {
	if len(parts) == 1 {
		return NewChain(parts[0].Settings, parts[0].Deps)
	}
	m := &several{}
	for n := range parts {
		p := &parts[n]
		if n > 0 {
			p.Deps.tokens = parts[0].Deps.presented.tokenReader
		}
		if err := p.Settings.check(); err != nil {
			return nil, fmt.Errorf("issuers: %s: %w", p.Name, err)
		}
		p.Deps.prepare(p.Settings)
		m.add(p, entries(p.Settings, &p.Deps))
	}
	return m.chain(), nil
}

// several sorts the flows of the parts.
type several struct {
	sessions auth.Chain
	issued   *Part       // the first that takes the built-in authorization server's tokens, which is nobody else's
	logouts  []auth.Flow // sessions, with their endpoints
	tokens   tokensOf
	others   auth.Chain // the first of each kind
	seen     map[*Kind]bool
	logins   logins
}

func (m *several) add(p *Part, all []entry) {
	var tokens auth.Chain
	for _, e := range all {
		switch e.kind.role {
		case remembers:
			m.sessions, m.logouts = append(m.sessions, quiet{e.flow, p.Deps.issuer().URL()}), append(m.logouts, e.flow)
		case issues:
			if m.issued == nil {
				m.issued = p
			}
		case proves, guards:
			tokens = append(tokens, e.flow)
		case logsIn:
			m.logins.add(p, e.flow)
		default:
			m.first(e)
		}
	}
	m.tokens = append(m.tokens, tokensPart{p.Deps.presented, p.Deps.issuers(), tokens})
}

// first keeps a flow if it is the first of its kind.
func (m *several) first(e entry) {
	if m.seen == nil {
		m.seen = map[*Kind]bool{}
	}
	if !m.seen[e.kind] {
		m.seen[e.kind] = true
		m.others = append(m.others, e.flow)
	}
}

func (m *several) chain() auth.Chain {
	chain := slices.Clone(m.sessions)
	if m.issued != nil {
		chain = append(chain, issued(m.issued, m.sessions))
	}
	chain = append(append(chain, m.tokens), m.others...)
	if len(m.logouts) > 0 {
		chain = append(chain, sharedLogout(m.logouts))
	}
	if len(m.logins.list) > 0 {
		chain = append(chain, &m.logins)
	}
	return chain
}

// quiet hides a flow's endpoints, which stand elsewhere. A refusal names the issuer.
type quiet struct {
	flow   auth.Flow
	issuer string
}

func (q quiet) Authenticate(r *auth.Request) (*auth.Result, error) {
	res, err := q.flow.Authenticate(r)
	return res, auth.OfIssuer(q.issuer, err)
}

// Review is the flow's own.
func (q quiet) Review(r *auth.Request, header http.Header, forwarded bool) http.Header {
	return auth.Chain{q.flow}.Review(r, header, forwarded)
}

// sharedLogout ends the sessions at all issuers; the browser goes on to the provider of the first that there was.
type sharedLogout []auth.Flow

func (sharedLogout) Authenticate(*auth.Request) (*auth.Result, error) {
	return nil, auth.ErrNoCredential
}

func (l sharedLogout) Endpoints() []auth.Endpoint {
	byName := map[string][]auth.Endpoint{}
	var order []string
	for _, f := range l {
		for n, e := range f.(auth.Endpointer).Endpoints() {
			key := fmt.Sprint(e.Path, n)
			if byName[key] == nil {
				order = append(order, key)
			}
			byName[key] = append(byName[key], e)
		}
	}
	var all []auth.Endpoint
	for _, key := range order {
		all = append(all, together(byName[key]))
	}
	return all
}

// together is one endpoint of several that do the same for one issuer each.
func together(list []auth.Endpoint) auth.Endpoint {
	e := list[0]
	if e.Matches != nil {
		e.Matches = func(r *auth.Request) bool {
			return slices.ContainsFunc(list, func(one auth.Endpoint) bool { return one.Matches(r) })
		}
	}
	e.Serve = func(r *auth.Request) (*auth.Result, error) {
		var header http.Header
		var chosen *auth.Result
		for _, one := range list {
			res, err := one.Serve(r)
			if err != nil {
				return res, err
			}
			if chosen == nil || better(res.Answer, chosen.Answer) {
				chosen = res
			}
			header = auth.MergeHeader(header, http.Header{"Set-Cookie": res.Header["Set-Cookie"]})
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

// better reports whether the browser should rather get one issuer's answer to a logout than another's: that of an issuer at which
// there was a session, and of those one that leads to the provider.
func better(a, b *auth.Answer) bool {
	had := func(a *auth.Answer) bool { return a != nil && a.Reason == "" }
	if had(a) != had(b) {
		return had(a)
	}
	return leads(a) && !leads(b)
}

// NewExchangeOf returns what is to be done with an access token before it goes on: by the part whose issuer it is of.
func NewExchangeOf(parts []Part, paths []ClaimPaths) auth.Step {
	type at struct {
		step    auth.Step
		issuers []*oidc.Issuer
	}
	var all []at
	some := false
	for n := range parts {
		step := NewExchange(parts[n].Settings, parts[n].Deps, paths[n])
		some = some || step != nil
		all = append(all, at{step, parts[n].Deps.issuers()})
	}
	switch {
	case !some:
		return nil
	case len(all) == 1:
		return all[0].step
	}
	return func(r *auth.Request, res *auth.Result) (*auth.Result, error) {
		for _, a := range all {
			if res.Identity != nil && slices.ContainsFunc(a.issuers, func(i *oidc.Issuer) bool { return i.URL() == res.Identity.Issuer }) {
				if a.step == nil {
					return res, nil
				}
				return a.step(r, res)
			}
		}
		return res, nil
	}
}
