package config

import (
	"errors"
	"reflect"

	"sallyport/internal/check"
	"sallyport/internal/flow"
	"sallyport/internal/strict"
)

// issuersKey is the key of an oidc block whose value is a list of oidc blocks. An entry of the list can't have it.
const issuersKey = "issuers"

var entryShape = strict.ShapeFor[IssuerEntry]()

// takeIssuers splits a flat oidc block into the parameters that its issuers share and the entries of issuers. It reports parameters beside
// issuers that belong to one issuer.
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
	rest := strict.NewMapping(oidc.Mark)
	for _, q := range oidc.Pairs {
		f := oidcShape.ByName[q.Key]
		switch {
		case q.Key == issuersKey:
		case f != nil && f.Group == "issuer" && !q.Value.Null:
			l.Problemf(q.Mark, "%s: it belongs to one issuer, and issuers: has several: write it into an entry of issuers:", q.Key)
		default:
			rest.Put(q)
		}
	}
	return rest, p.Value.Items
}

// issuer decodes an entry of issuers, with the parameters that the entries share.
func (l *loader) issuer(route *strict.Block, r *Route, shared, v *strict.Value) Issuer {
	b := strict.NewBlock(l.Report, v.Mark)
	i := Issuer{block: b}
	b.Entries["oidc"] = &strict.Entry{Mark: v.Mark, Set: true}
	for _, key := range []string{"paths", "hosts"} { // of the route, for the lines in messages
		b.Entries[key] = route.Find(key)
	}
	if v.Kind != strict.Mapping {
		l.Problemf(v.Mark, "issuers: expected a mapping with name, issuer and client_id, got %s", describe(v))
		b.Entries["issuer"], b.Entries["client_id"] = &strict.Entry{Bad: true}, &strict.Entry{Bad: true}
		return i
	}
	own, entry := strict.NewMapping(v.Mark), strict.NewMapping(v.Mark)
	for _, p := range v.Pairs {
		if entryShape.ByName[p.Key] != nil {
			entry.Put(p)
		} else {
			own.Put(p)
		}
	}
	b.Decode("issuers", entry, &i.IssuerEntry)
	b.Decode("oidc", merge(shared, flatten(l.Report, own)), &i.OIDC)
	applyMCP(b, r.MCP, &i.OIDC)
	applyProfile(b, &i.OIDC)
	if len(i.OIDC.Flow.RedirectURI) == 0 && len(r.Route.Paths) > 0 {
		i.OIDC.Flow.RedirectURI = []string{flow.PathBelow(r.Route.Paths[0], "oauth2/callback/"+i.Name)}
	}
	return i
}

// perIssuer returns the route once for each of its issuers, with the oidc block of that issuer. A route without issuers is returned
// unchanged.
func (r *Route) perIssuer() []Route {
	if len(r.Issuers) == 0 {
		return []Route{*r}
	}
	var all []Route
	for n := range r.Issuers {
		i := &r.Issuers[n]
		part := *r
		part.OIDC, part.block, part.Issuers, part.siblings = i.OIDC, i.block, nil, r.Issuers
		all = append(all, part)
	}
	return all
}

// Parts returns the route's issuers with their oidc blocks: the entries of oidc.issuers, or else one without a name.
func (r *Route) Parts() []Issuer {
	if len(r.Issuers) == 0 {
		return []Issuer{{OIDC: r.OIDC, block: r.block}}
	}
	return r.Issuers
}

// checkIssuers checks the entries of issuers against each other, and the rules that name one.
func (r *Route) checkIssuers() {
	names, places := map[string]bool{}, map[string]string{} // places by issuer
	for n := range r.Issuers {
		i := &r.Issuers[n]
		c, issuer := i.block.Checker(), i.OIDC.Flow.Client.Issuer
		c.Must("name", !names[i.Name], "another entry has the name %s already: choose another", check.Quote(i.Name))
		c.One("name", i.Name, func(text string) error {
			if !check.IsToken(text) || len(text) > 64 {
				return errors.New("it becomes a part of URLs: write letters, digits, - and _")
			}
			return nil
		})
		c.Each("login_domains", i.LoginDomains, check.MailDomain)
		names[i.Name] = true
		c.Must("issuer", issuer == "" || places[issuer] == "",
			"%s is the issuer of the entry at %s already: a token would belong to both", check.Quote(issuer), places[issuer])
		places[issuer] = i.block.Home.From(r.block.Home)
	}
	for n := range r.Rules {
		rule := &r.Rules[n]
		rule.block.Checker().Must("login_issuer", rule.LoginIssuer == "" || names[rule.LoginIssuer],
			"no entry of issuers has the name %s", check.Quote(rule.LoginIssuer))
	}
	r.checkPlaces()
	r.checkOneResource()
}

// checkPlaces checks that all entries agree on the places of credentials in requests. An entry would ignore a credential in a place that
// only another entry reads. The complaint is about an entry that writes another value than the first entry, or else about the first entry.
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
			entry, other := &r.Issuers[n+1], first
			if reflect.DeepEqual(valueIn(&entry.OIDC, f), valueIn(&other.OIDC, f)) {
				continue
			}
			if !entry.block.IsSet(f.Name) {
				entry, other = other, entry
			}
			entry.block.Complain(f.Name, "the entry %s has another value, and the gate reads it before it knows the issuer of a request: "+
				"write it once, beside issuers", check.Quote(other.Name))
		}
	}
}

// valueIn returns the field's value in an oidc block.
func valueIn(o *OIDC, f *strict.Field) any {
	return reflect.ValueOf(o).Elem().FieldByIndex(f.Index).Interface()
}

// checkOneResource checks that all entries with protected_resource_metadata have the same, because a route is one resource.
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
