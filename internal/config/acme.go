package config

import (
	"fmt"
	"reflect"
	"slices"

	"sallyport/internal/acmecert"
	"sallyport/internal/check"
)

// checkACME checks the acme blocks of the listeners, and adds the hosts of the routes to a block without hosts.
func (l *loader) checkACME() {
	c := l.process.Checker()
	var first *acmecert.Settings
	for i, listen := range l.file.Listen {
		if listen.TLS == nil || listen.TLS.ACME == nil {
			continue
		}
		a, key := listen.TLS.ACME, fmt.Sprintf("listen[%d].tls.acme", i)
		if first == nil {
			first = a
			a.Check(c.Below(key + "."))
			plain := func(l Listen) bool { return l.TLS == nil && l.ForwardAuth == nil }
			c.Must(key+".challenge", !a.UsesHTTP() || slices.ContainsFunc(l.file.Listen, plain),
				"http-01 is answered without TLS: add a listener such as :80, or take it out")
		} else {
			c.Each(key+".hosts", a.Hosts, acmecert.CheckHost)
			c.Must(key, sameAccount(*a, *first), "it differs from the acme block of another listener: write the same, except for hosts")
		}
		if len(a.Hosts) == 0 {
			a.Hosts = l.exactHosts(key)
		}
		slices.Sort(a.Hosts)
		a.Hosts = slices.Compact(a.Hosts)
	}
}

// sameAccount reports whether two blocks differ in their hosts alone. The process has one account and one store of certificates.
func sameAccount(a, b acmecert.Settings) bool {
	a.Hosts, b.Hosts = nil, nil
	return reflect.DeepEqual(a, b)
}

// exactHosts returns the hosts of all routes. It reports routes that have others than exact names.
func (l *loader) exactHosts(key string) (all []string) {
	for i := range l.file.Routes {
		r := &l.file.Routes[i]
		home := r.block.Find("hosts").Mark
		remedy := fmt.Sprintf("the acme block at %s has no hosts, so it needs a certificate for each host of the routes: "+
			"write %s.hosts there", l.process.Find(key).Mark.From(home), check.KeyName(key))
		if len(r.Route.Hosts) == 0 {
			r.block.Complain("hosts", "the route has none, and %s, or hosts here", remedy)
		}
		for n, host := range r.Route.Hosts {
			if err := acmecert.CheckHost(host); err != nil {
				r.block.Complain(fmt.Sprintf("hosts[%d]", n), "%s: %v; %s", check.Quote(host), err, remedy)
			}
		}
		all = append(all, r.Route.Hosts...)
	}
	return all
}
