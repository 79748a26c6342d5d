package importer

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/strict"
)

// never is an expression for allow that refuses each request.
const never = "false"

// headerCondition returns an expression that is true for requests that have one of the values in a header. Values that begin with ~* are
// regular expressions. It reports whether there is such an expression.
func headerCondition(name string, values []string) (string, bool) {
	var alternatives []string
	for _, v := range values {
		if expression, found := strings.CutPrefix(v, "~*"); found {
			if _, err := regexp.Compile(expression); err != nil {
				return "", false
			}
			alternatives = append(alternatives, "(?:"+expression+")")
			continue
		}
		alternatives = append(alternatives, "(?:^|, )"+regexp.QuoteMeta(v)+"(?:$|, )")
	}
	key := strconv.Quote(strings.ToLower(name))
	return fmt.Sprintf("%s in request.headers && request.headers[%[1]s].matches(%s)", key,
		strconv.Quote("(?i)"+strings.Join(alternatives, "|"))), len(values) > 0
}

// clientCondition returns an expression that is true for clients whose address is in one of the networks. It reports whether there is one:
// an expression knows single addresses and IPv4 networks of whole parts.
func clientCondition(networks []string) (string, bool) {
	var all []string
	for _, text := range networks {
		network, err := netip.ParsePrefix(text)
		if address, isAddress := netip.ParseAddr(text); isAddress == nil {
			network, err = address.Prefix(address.BitLen())
		}
		if err != nil || !network.IsSingleIP() && (!network.Addr().Is4() || network.Bits() == 0 || network.Bits()%8 != 0) {
			return "", false
		}
		network = network.Masked()
		if network.IsSingleIP() {
			all = append(all, "request.client_ip == "+strconv.Quote(network.Addr().String()))
			continue
		}
		parts := strings.Split(network.Addr().String(), ".")[:network.Bits()/8]
		all = append(all, "request.client_ip.startsWith("+strconv.Quote(strings.Join(parts, ".")+".")+")")
	}
	return strings.Join(all, " || "), len(all) > 0
}

// both returns an expression that is true if both are. An empty one is true.
func both(a, b string) string {
	switch {
	case a == never, b == never:
		return never
	case a == "":
		return b
	case b == "" || a == b:
		return a
	}
	return grouped(a) + " && " + grouped(b)
}

// not returns an expression that is true if another one isn't.
func not(a string) string { return "!(" + a + ")" }

// grouped returns an expression that can be an operand of &&.
func grouped(a string) string {
	if strings.Contains(a, "||") && !strings.HasPrefix(a, "!(") {
		return "(" + a + ")"
	}
	return a
}

// restrictClients adds the expression for ip-restriction to a policy, and reports whether there is one.
func (k *kong) restrictClients(p *policy, plugin *entity) bool {
	config := plugin.config()
	allow := slices.Concat(texts(config.get("allow")), texts(config.get("whitelist")))
	deny := slices.Concat(texts(config.get("deny")), texts(config.get("blacklist")))
	allowed, canAllow := clientCondition(allow)
	denied, canDeny := clientCondition(deny)
	if len(allow) > 0 && !canAllow || len(deny) > 0 && !canDeny || len(allow)+len(deny) == 0 {
		return false
	}
	p.condition = both(p.condition, allowed)
	if len(deny) > 0 {
		p.condition = both(p.condition, not(denied))
	}
	k.Notef(plugin.Mark,
		"ip-restriction is an expression now: behind a proxy write trusted_proxies, so that request.client_ip is the client's address")
	return true
}

// conditionsOf returns an expression for what a route of Kong requires of a request besides its host, path and method. It returns never if
// there is no such expression.
func (k *kong) conditionsOf(route *entity) string {
	condition := ""
	add := func(key, what string, ok bool) {
		if !ok {
			what = never
			k.Notef(route.at(key), "%s: the gate doesn't choose routes by it, and no expression can check it: requests are refused", key)
		}
		condition = both(condition, what)
	}
	if headers := route.get("headers"); headers != nil {
		for _, h := range headers.Pairs {
			what, ok := headerCondition(h.Key, texts(h.Value))
			add("headers", what, ok)
		}
		k.Notef(headers.Mark, "headers: the gate doesn't choose routes by headers: a request without them is refused with 403")
	}
	if sources := route.list("sources"); len(sources) > 0 {
		what, ok := sourceCondition(sources)
		add("sources", what, ok)
	}
	for _, key := range []string{"snis", "destinations"} {
		if len(route.list(key)) > 0 {
			add(key, "", false)
		}
	}
	for _, p := range route.Pairs {
		if !slices.Contains(keys["routes"], p.Key) && !p.Value.Null {
			k.Notef(p.Mark, "%s: this key of a route isn't known, and may choose requests: they are refused", p.Key)
			condition = both(condition, never)
		}
	}
	return condition
}

func sourceCondition(sources []*strict.Value) (string, bool) {
	var networks []string
	for _, v := range sources {
		s := &entity{Value: v}
		if v.Kind != strict.Mapping || s.text("ip") == "" || s.get("port") != nil {
			return "", false
		}
		networks = append(networks, s.text("ip"))
	}
	return clientCondition(networks)
}
