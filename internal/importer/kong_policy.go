package importer

import (
	"fmt"
	"slices"
	"strconv"
)

// passing has the plugins without which a request may pass, and what the gate doesn't do in their place. A request must not pass without
// any other plugin, so it closes its routes, unless it is imported.
var passing = map[string]string{
	"rate-limiting": limits, "rate-limiting-advanced": limits, "response-ratelimiting": limits, "service-protection": limits,
	"cors": "add CORS headers or answer preflights: let the service do both, and see run_on_preflight",

	"request-transformer": changes, "request-transformer-advanced": changes, "grpc-gateway": changes, "grpc-web": changes,
	"response-transformer": changesResponse, "response-transformer-advanced": changesResponse, "exit-transformer": changesResponse,

	"correlation-id": "take the name of this header: it sends X-Request-Id",
	"prometheus":     "need it: /metrics on the admin listener has the metrics",
	"opentelemetry":  "need it: set OTEL_EXPORTER_OTLP_ENDPOINT for traces", "zipkin": traces, "datadog": traces,

	"file-log": logs, "http-log": logs, "tcp-log": logs, "udp-log": logs, "syslog": logs, "loggly": logs, "kafka-log": logs, "statsd": logs,
	"statsd-advanced": logs, "solace-log": logs,

	"proxy-cache": caches, "proxy-cache-advanced": caches, "graphql-proxy-cache-advanced": caches,
	"upstream-timeout": "have time-outs by plugin: write response_header_timeout of the upstream",
	"canary":           "choose between services",
}

const (
	limits          = "limit the rate of requests"
	changes         = "change requests, except for its own headers"
	changesResponse = "change responses"
	traces          = "send traces there: set OTEL_EXPORTER_OTLP_ENDPOINT"
	logs            = "send logs: it writes one JSON line for each request to standard error"
	caches          = "cache responses"
)

// A policy says what requests for a route of Kong must fulfil.
type policy struct {
	oidc      *entity // the openid-connect plugin, or nil
	oauth2    *entity // the oauth2 plugin, or nil
	acl       *entity // nil: none
	bodyLimit int     // in bytes; 0 is off
	condition string  // an expression for the client's address or the consumer; empty: all
	required  bool    // the anonymous consumer is refused
	closed    bool    // requests are refused
}

// open reports whether all requests pass without a credential.
func (p *policy) open() bool { return p.oidc == nil && p.oauth2 == nil && !p.closed }

// policyOf returns the policy of a route.
func (k *kong) policyOf(route *entity) *policy {
	p := &policy{}
	plugins, consumers, doubled := k.pluginsOf(route)
	p.oidc, p.oauth2, p.acl = plugins["openid-connect"], plugins["oauth2"], plugins["acl"]
	for _, name := range sortedKeys(plugins) {
		k.judge(p, route, plugins, plugins[name])
	}
	for _, plugin := range doubled {
		k.close(p, route, plugin)
	}
	for _, plugin := range consumers {
		k.judgeConsumers(p, route, plugin)
	}
	k.judgeACL(p, route)
	if route.service == nil {
		p.closed = true
		k.Notef(route.Mark, "the route %s has no service: its requests are refused by a rule with allow: \"false\"", route.name())
	}
	return p
}

// judge adds what a plugin requires to a policy.
func (k *kong) judge(p *policy, route *entity, plugins map[string]*entity, plugin *entity) {
	name := plugin.text("name")
	_, passes := passing[name]
	switch {
	case name == "openid-connect", name == "acl":
	case name == "oauth2":
		if p.oidc != nil {
			k.close(p, route, plugin)
		}
	case name == "request-size-limiting" && k.limitBody(p, plugin):
	case name == "ip-restriction" && k.restrictClients(p, plugin):
	case passes:
		k.dropped[plugin] = append(k.dropped[plugin], route.name())
	case isAlternative(plugins, plugin):
		k.Notef(plugin.Mark, "%s isn't imported: its credentials pass no longer, and those of openid-connect or oauth2 still do", name)
	default:
		k.close(p, route, plugin)
	}
}

// isAlternative reports whether requests may fulfil another plugin in place of this one, which lets the others pass as an anonymous
// consumer.
// Without it fewer requests pass.
func isAlternative(plugins map[string]*entity, plugin *entity) bool {
	other := plugins["openid-connect"]
	if other == nil {
		other = plugins["oauth2"]
	}
	authenticates := []string{"key-auth", "key-auth-enc", "basic-auth", "jwt", "hmac-auth", "ldap-auth", "ldap-auth-advanced", "session",
		"oauth2-introspection", "mtls-auth"}
	return other != nil && slices.Contains(authenticates, plugin.text("name")) && plugin.config().text("anonymous") != ""
}

// close closes a route because of a plugin.
func (k *kong) close(p *policy, route, plugin *entity) {
	p.closed = true
	k.closed[plugin] = append(k.closed[plugin], route.name())
}

// judgeConsumers adds what a plugin for consumers requires. A plugin that refuses the anonymous consumer requires a credential.
func (k *kong) judgeConsumers(p *policy, route, plugin *entity) {
	name := plugin.text("name")
	switch _, passes := passing[name]; {
	case passes:
		k.dropped[plugin] = append(k.dropped[plugin], route.name())
	case name == "request-termination" && k.isAnonymous(p, plugin.consumer):
		p.required = true
	case !k.knowsConsumers(p):
	case plugin.consumer != nil && plugin.group == nil && plugin.consumer.text("username") != "":
		user := plugin.consumer.text("username")
		p.condition = both(p.condition, "consumer.username != "+strconv.Quote(user))
		k.Notef(plugin.Mark, "%s isn't imported: so that the consumer %s doesn't pass without it, an expression refuses it", name, user)
	default:
		k.close(p, route, plugin)
	}
}

// knowsConsumers reports whether requests can have a consumer.
func (k *kong) knowsConsumers(p *policy) bool {
	if p.oauth2 != nil {
		return true
	}
	return p.oidc != nil && (hasGroups(p.oidc.config()) || p.oidc.config().get("anonymous") != nil)
}

// isAnonymous reports whether a consumer is the anonymous one of a policy.
func (k *kong) isAnonymous(p *policy, consumer *entity) bool {
	for _, plugin := range []*entity{p.oidc, p.oauth2} {
		if plugin == nil || consumer == nil {
			continue
		}
		if v := plugin.config().get("anonymous"); v != nil && k.find("consumers", v) == consumer {
			return true
		}
	}
	return false
}

// judgeACL closes a route whose access control list refuses all requests: in Kong no consumer and no group is known there.
func (k *kong) judgeACL(p *policy, route *entity) {
	switch {
	case p.acl == nil || p.closed:
	case p.open():
		k.close(p, route, p.acl)
	case p.oidc != nil && !hasGroups(p.oidc.config()):
		k.close(p, route, p.acl)
	}
}

// mapsConsumers reports whether an openid-connect plugin maps requests to consumers.
func mapsConsumers(config *entity) bool {
	return len(config.list("consumer_claim"))+len(config.list("consumer_claims")) > 0
}

// hasGroups reports whether an openid-connect plugin says where groups come from.
func hasGroups(config *entity) bool {
	return mapsConsumers(config) || len(config.list("authenticated_groups_claim"))+len(config.list("consumer_groups_claim")) > 0
}

// pluginsOf returns the plugins of a route by name, the most specific of each; the plugins for some of its consumers; and those that have
// the
// name and scope of another one, of which Kong would run one.
func (k *kong) pluginsOf(route *entity) (plugins map[string]*entity, consumers, doubled []*entity) {
	plugins = map[string]*entity{}
	for _, p := range slices.Concat(k.all["plugins"], k.all["consumer_group_plugins"]) {
		name, specific := p.text("name"), specificity(p, route)
		switch {
		case specific < 0 || p.text("enabled") == "false":
		case p.consumer != nil || p.group != nil:
			consumers = append(consumers, p)
		case plugins[name] == nil || specific > specificity(plugins[name], route):
			plugins[name] = p
		case specific == specificity(plugins[name], route):
			doubled = append(doubled, p)
		}
	}
	return plugins, consumers, doubled
}

// specificity returns how specific the scope of a plugin is for a route, and -1 if the route isn't in it.
func specificity(plugin, route *entity) int {
	switch {
	case plugin.orphan,
		plugin.route != nil && plugin.route != route,
		plugin.service != nil && plugin.service != route.service:
		return -1
	}
	n := 0
	if plugin.route != nil {
		n += 2
	}
	if plugin.service != nil {
		n++
	}
	return n
}

// limitBody sets the limit of request-size-limiting, and reports whether it could.
func (k *kong) limitBody(p *policy, plugin *entity) bool {
	config := plugin.config()
	factor := map[string]int{"": 1e6, "megabytes": 1e6, "kilobytes": 1e3, "bytes": 1}[config.text("size_unit")]
	var size int
	if _, err := fmt.Sscanf(config.text("allowed_payload_size"), "%d", &size); err != nil {
		size = 128
	}
	if factor == 0 || size < 1 || size > 1<<30 {
		return false
	}
	p.bodyLimit = size * factor
	return true
}
