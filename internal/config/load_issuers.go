package config

import (
	"fmt"
	"reflect"

	"sallyport/internal/check"
	"sallyport/internal/flow"
)

// issuersKey is the one key of an oidc block whose value is oidc blocks again.
const issuersKey = "issuers"

var entryShape = shapeOf(reflect.TypeFor[IssuerEntry]())

// takeIssuers takes the list of issuers out of a flat oidc block. What belongs to one issuer has no place beside it.
func (l *loader) takeIssuers(b *block, oidc *value) (*value, []*value) {
	p := oidc.get(issuersKey)
	if p == nil || p.value.null {
		return oidc, nil
	}
	b.entries[issuersKey] = &entry{mark: p.mark, set: true}
	if p.value.kind != list || len(p.value.items) == 0 {
		l.problem(p.mark, "issuers: expected a list of issuers, each with name, issuer and client_id: write \"- \" before each")
		return oidc, nil
	}
	rest := &value{mark: oidc.mark, kind: mapping}
	for _, q := range oidc.pairs {
		f := oidcShape.byName[q.key]
		switch {
		case q.key == issuersKey:
		case f != nil && f.group == "issuer" && !q.value.null:
			l.problem(q.mark, "%s: it belongs to one issuer, and issuers: names several: write it into an entry there", q.key)
		default:
			rest.put(q)
		}
	}
	return rest, p.value.items
}

// issuer reads one entry: its own parameters over those that the entries share.
func (l *loader) issuer(route *block, r *Route, shared, v *value) Issuer {
	b := newBlock(l.report, v.mark)
	i := Issuer{block: b}
	b.entries["oidc"] = &entry{mark: v.mark, set: true}
	for _, key := range []string{"paths", "hosts"} { // of the route: checks name their lines
		b.entries[key] = route.find(key)
	}
	if v.kind != mapping {
		l.problem(v.mark, "issuers: expected a mapping with name, issuer and client_id, got %s", describe(v))
		b.entries["issuer"], b.entries["client_id"] = &entry{bad: true}, &entry{bad: true}
		return i
	}
	own, entry := &value{mark: v.mark, kind: mapping}, &value{mark: v.mark, kind: mapping}
	for _, p := range v.pairs {
		if entryShape.byName[p.key] != nil {
			entry.put(p)
		} else {
			own.put(p)
		}
	}
	b.decode("issuers", "", entry, reflect.ValueOf(&i.IssuerEntry).Elem())
	b.decode("oidc", "", merge(shared, l.flatten(own)), reflect.ValueOf(&i.OIDC).Elem())
	if len(i.OIDC.Flow.RedirectURI) == 0 && len(r.Route.Paths) > 0 {
		i.OIDC.Flow.RedirectURI = []string{flow.PathBelow(r.Route.Paths[0], "oauth2/callback/"+i.Name)}
	}
	return i
}

// parts are the oidc blocks of a route, each as a route of its own: one, or one for each issuer.
func (r *Route) parts() []Route {
	if len(r.Issuers) == 0 {
		return []Route{*r}
	}
	var all []Route
	for n := range r.Issuers {
		i := &r.Issuers[n]
		part := *r
		part.OIDC, part.block, part.Issuers, part.entries = i.OIDC, i.block, nil, r.Issuers
		all = append(all, part)
	}
	return all
}

// Parts are the route's issuers, each with its whole oidc block: one without a name, or those of oidc.issuers.
func (r *Route) Parts() []Issuer {
	if len(r.Issuers) == 0 {
		return []Issuer{{OIDC: r.OIDC, block: r.block}}
	}
	return r.Issuers
}

// Problem returns a mistake that was found after Load, with the place of the key that it is about.
func (i *Issuer) Problem(key, message string) error {
	m := i.block.find(key).mark
	return Problem{m.file, m.line, key + ": " + message}
}

// checkIssuers judges the list as a whole.
func (r *Route) checkIssuers() {
	b := r.block
	names := map[string]bool{}
	for n := range r.Issuers {
		i := &r.Issuers[n]
		i.block.checker().Must("name", !names[i.Name], "%s is the name of an issuer before: choose another", quote(i.Name))
		i.block.checker().One("name", i.Name, func(text string) error {
			if !check.IsToken(text) || len(text) > 64 {
				return fmt.Errorf("it stands in addresses: write letters, digits, - and _")
			}
			return nil
		})
		i.block.checker().Each("login_domains", i.LoginDomains, check.MailDomain)
		names[i.Name] = true
	}
	for n := range r.Rules {
		rule := &r.Rules[n]
		rule.block.checker().Must("login_issuer", rule.LoginIssuer == "" || names[rule.LoginIssuer], "no entry of issuers has the name %s", quote(rule.LoginIssuer))
	}
	issuers := map[string]string{}
	for _, part := range r.parts() {
		s := &part.OIDC.Flow.Client
		if other, found := issuers[s.Issuer]; found && s.Issuer != "" && len(r.Issuers) > 0 {
			part.block.Complain("issuer", "%s is the issuer of the entry at %s already: a token would belong to both", quote(s.Issuer), other)
		}
		issuers[s.Issuer] = part.block.home.from(b.home)
	}
	r.checkPlaces()
	r.checkOneResource()
}

// checkPlaces demands that all entries agree on where in a request credentials stand: one that only some entry looks for would be
// none to the others. It complains at the entry that writes another value than the first, or else at the first.
func (r *Route) checkPlaces() {
	if len(r.Issuers) < 2 {
		return
	}
	first := &r.Issuers[0]
	for _, f := range oidcShape.fields {
		if !f.place {
			continue
		}
		for n := range r.Issuers[1:] {
			here, there := &r.Issuers[n+1], first
			if reflect.DeepEqual(f.in(&here.OIDC), f.in(&there.OIDC)) {
				continue
			}
			if !here.block.IsSet(f.name) {
				here, there = there, here
			}
			here.block.Complain(f.name, "the entry %s has another value, and a request is read before it is known which issuer it is about: "+
				"write it once, beside issuers", quote(there.Name))
		}
	}
}

// in returns the field's value in an oidc block.
func (f *field) in(o *OIDC) any { return reflect.ValueOf(o).Elem().FieldByIndex(f.index).Interface() }

// checkOneResource demands that the entries which describe the protected resource describe the same: a route is one.
func (r *Route) checkOneResource() {
	const key = "protected_resource_metadata"
	var first *Issuer
	for n := range r.Issuers {
		i := &r.Issuers[n]
		switch m := i.OIDC.Flow.ProtectedResourceMetadata; {
		case m == nil:
		case first == nil:
			first = i
		case !reflect.DeepEqual(m, first.OIDC.Flow.ProtectedResourceMetadata):
			i.block.Complain(key, "the entry %s has another value, and a route is one resource: "+
				"write it in one entry, with all authorization_servers", quote(first.Name))
		}
	}
}
