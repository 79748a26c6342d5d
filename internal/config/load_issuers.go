package config

import (
	"fmt"
	"reflect"

	"sallyport/internal/check"
	"sallyport/internal/flow"
	"sallyport/internal/strict"
)

// issuersKey is the one key of an oidc block whose value is oidc blocks again.
const issuersKey = "issuers"

var entryShape = strict.ShapeOf(reflect.TypeFor[IssuerEntry]())

// takeIssuers takes the list of issuers out of a flat oidc block. What belongs to one issuer has no place beside it.
func (l *loader) takeIssuers(b *strict.Block, oidc *strict.Value) (*strict.Value, []*strict.Value) {
	p := oidc.Get(issuersKey)
	if p == nil || p.Value.Null {
		return oidc, nil
	}
	b.Entries[issuersKey] = &strict.Entry{Mark: p.Mark, Set: true}
	if p.Value.Kind != strict.List || len(p.Value.Items) == 0 {
		l.Problemf(p.Mark, "issuers: expected a list of issuers, each with name, issuer and client_id: write \"- \" before each")
		return oidc, nil
	}
	rest := &strict.Value{Mark: oidc.Mark, Kind: strict.Mapping}
	for _, q := range oidc.Pairs {
		f := oidcShape.ByName[q.Key]
		switch {
		case q.Key == issuersKey:
		case f != nil && f.Group == "issuer" && !q.Value.Null:
			l.Problemf(q.Mark, "%s: it belongs to one issuer, and issuers: names several: write it into an entry there", q.Key)
		default:
			rest.Put(q)
		}
	}
	return rest, p.Value.Items
}

// issuer reads one entry: its own parameters over those that the entries share.
func (l *loader) issuer(route *strict.Block, r *Route, shared, v *strict.Value) Issuer {
	b := strict.NewBlock(l.Report, v.Mark)
	i := Issuer{block: b}
	b.Entries["oidc"] = &strict.Entry{Mark: v.Mark, Set: true}
	for _, key := range []string{"paths", "hosts"} { // of the route: checks name their lines
		b.Entries[key] = route.Find(key)
	}
	if v.Kind != strict.Mapping {
		l.Problemf(v.Mark, "issuers: expected a mapping with name, issuer and client_id, got %s", describe(v))
		b.Entries["issuer"], b.Entries["client_id"] = &strict.Entry{Bad: true}, &strict.Entry{Bad: true}
		return i
	}
	own, entry := &strict.Value{Mark: v.Mark, Kind: strict.Mapping}, &strict.Value{Mark: v.Mark, Kind: strict.Mapping}
	for _, p := range v.Pairs {
		if entryShape.ByName[p.Key] != nil {
			entry.Put(p)
		} else {
			own.Put(p)
		}
	}
	b.Decode("issuers", "", entry, reflect.ValueOf(&i.IssuerEntry).Elem())
	b.Decode("oidc", "", merge(shared, flatten(l.Report, own)), reflect.ValueOf(&i.OIDC).Elem())
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
	m := i.block.Find(key).Mark
	return strict.Problem{m.File, m.Line, key + ": " + message}
}

// checkIssuers judges the list as a whole.
func (r *Route) checkIssuers() {
	b := r.block
	names := map[string]bool{}
	for n := range r.Issuers {
		i := &r.Issuers[n]
		i.block.Checker().Must("name", !names[i.Name], "%s is the name of an issuer before: choose another", check.Quote(i.Name))
		i.block.Checker().One("name", i.Name, func(text string) error {
			if !check.IsToken(text) || len(text) > 64 {
				return fmt.Errorf("it stands in addresses: write letters, digits, - and _")
			}
			return nil
		})
		i.block.Checker().Each("login_domains", i.LoginDomains, check.MailDomain)
		names[i.Name] = true
	}
	for n := range r.Rules {
		rule := &r.Rules[n]
		rule.block.Checker().Must("login_issuer", rule.LoginIssuer == "" || names[rule.LoginIssuer], "no entry of issuers has the name %s", check.Quote(rule.LoginIssuer))
	}
	issuers := map[string]string{}
	for _, part := range r.parts() {
		s := &part.OIDC.Flow.Client
		if other, found := issuers[s.Issuer]; found && s.Issuer != "" && len(r.Issuers) > 0 {
			part.block.Complain("issuer", "%s is the issuer of the entry at %s already: a token would belong to both", check.Quote(s.Issuer), other)
		}
		issuers[s.Issuer] = part.block.Home.From(b.Home)
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
	for _, f := range oidcShape.Fields {
		if !f.Place {
			continue
		}
		for n := range r.Issuers[1:] {
			here, there := &r.Issuers[n+1], first
			if reflect.DeepEqual(valueIn(&here.OIDC, &f), valueIn(&there.OIDC, &f)) {
				continue
			}
			if !here.block.IsSet(f.Name) {
				here, there = there, here
			}
			here.block.Complain(f.Name, "the entry %s has another value, and a request is read before it is known which issuer it is about: "+
				"write it once, beside issuers", check.Quote(there.Name))
		}
	}
}

// valueIn returns the field's value in an oidc block.
func valueIn(o *OIDC, f *strict.Field) any {
	return reflect.ValueOf(o).Elem().FieldByIndex(f.Index).Interface()
}

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
				"write it in one entry, with all authorization_servers", check.Quote(first.Name))
		}
	}
}
