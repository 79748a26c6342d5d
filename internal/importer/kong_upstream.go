package importer

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/strict"
)

// nowhere is the upstream of a route without one. Its requests are refused.
const nowhere = "http://upstream.invalid"

// upstream returns the upstream of a route: its service, and the targets of the service's upstream.
func (k *kong) upstream(route *entity) any {
	service := route.service
	if service == nil {
		return nowhere
	}
	k.noteService(service)
	k.notePathHandling(route)
	u, address := NewMapping(), k.address(service)
	if upstream := k.find("upstreams", &strict.Value{Text: address.host}); upstream != nil && address.host != "" {
		k.targets(u, upstream, address)
	} else {
		u.SetAt(service.Mark, "url", address.url(address.host, address.port))
	}
	k.upstreamTimes(u, service)
	k.upstreamTLS(u, service, address)
	if u.Len() == 1 && u.Has("url") {
		return u.Value("url")
	}
	return u
}

// An address says where a service is.
type address struct {
	scheme, host, port, path string
	raw                      any // the URL as a whole, if a part of it is a reference
}

// address returns the address of a service, from its url or its parts.
func (k *kong) address(service *entity) address {
	a := address{scheme: cmp.Or(service.text("protocol"), "http"), host: service.text("host"), port: service.text("port"),
		path: service.text("path")}
	if v := service.get("url"); v != nil {
		if isReference(v.Text) {
			a.raw = k.scalar(v, "http://upstream.example.com")
			return a
		}
		if u, err := url.Parse(v.Text); err == nil {
			if u.User != nil {
				k.Notef(v.Mark, "url: the name and the password in it aren't imported: the gate sends none")
			}
			a = address{scheme: u.Scheme, host: u.Hostname(), port: u.Port(), path: u.EscapedPath()}
		}
	}
	if isReference(a.host + a.port + a.path) {
		text := a.scheme + "://" + a.host + ":" + cmp.Or(a.port, "80") + a.path
		a.raw = k.scalar(&strict.Value{Mark: service.Mark, Text: text}, "")
	}
	return a
}

// url returns the URL of a host and a port of the service.
func (a address) url(host, port string) any {
	if a.raw != nil {
		return a.raw
	}
	scheme := map[string]string{"grpc": "h2c", "grpcs": "https", "ws": "http", "wss": "https"}[a.scheme]
	scheme = cmp.Or(scheme, a.scheme)
	usual := map[string]string{"http": "80", "https": "443", "h2c": "80"}[scheme]
	switch {
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
		fallthrough
	default:
		if port != "" && port != usual {
			host += ":" + port
		}
	}
	return scheme + "://" + host + strings.TrimRight(a.path, "/")
}

// targets sets the targets of an upstream of Kong, and how they are chosen and checked.
func (k *kong) targets(u *Mapping, upstream *entity, a address) {
	var all []any
	for _, t := range k.all["targets"] {
		if t.group != upstream || t.text("weight") == "0" {
			continue
		}
		host, port, err := net.SplitHostPort(t.text("target"))
		if err != nil {
			host, port = t.text("target"), "8000"
		}
		all = append(all, a.url(host, port))
	}
	if len(all) == 1 {
		u.SetAt(upstream.Mark, "url", all[0])
		return
	}
	u.SetAt(upstream.Mark, "targets", k.weighted(upstream, all))
	k.balancing(u, upstream)
	k.healthChecks(u, upstream)
	if upstream.text("host_header") != "" {
		k.Notef(upstream.at("host_header"), "host_header: the gate sends the target's host, or with preserve_host the client's")
	}
}

// weighted returns targets with weights, if these differ. A weight is at most 1000 here.
func (k *kong) weighted(upstream *entity, urls []any) any {
	var weights []int
	for _, t := range k.all["targets"] {
		if w, _ := strconv.Atoi(cmp.Or(t.text("weight"), "100")); t.group == upstream && w > 0 {
			weights = append(weights, w)
		}
	}
	if len(weights) != len(urls) || len(weights) == 0 || slices.Max(weights) == slices.Min(weights) {
		return urls
	}
	shared := weights[0]
	for _, w := range weights {
		shared = divisor(shared, w)
	}
	all := []*Mapping{}
	for n, url := range urls {
		all = append(all, NewMapping().Set("url", url).Set("weight", min(weights[n]/shared, 1000)))
	}
	return all
}

// divisor returns the greatest common divisor.
func divisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// balancing sets how targets are chosen.
func (k *kong) balancing(u *Mapping, upstream *entity) {
	on := upstream.text("hash_on")
	switch algorithm := upstream.text("algorithm"); {
	case algorithm == "least-connections", algorithm == "latency":
		u.Set("load_balancing", "least_connections")
	case algorithm == "consistent-hashing" && on == "ip":
		u.Set("load_balancing", "client_address")
	case algorithm == "consistent-hashing" && on == "cookie":
		u.Set("load_balancing", "cookie")
	case algorithm == "consistent-hashing", algorithm == "sticky-sessions":
		k.Notef(upstream.at("algorithm"), "%s by %s: targets take turns; load_balancing can be client_address or cookie",
			algorithm, cmp.Or(on, "none"))
	}
}

// healthChecks sets the active health checks of an upstream that has them switched on.
func (k *kong) healthChecks(u *Mapping, upstream *entity) {
	active := below(below(upstream, "healthchecks"), "active")
	healthy, unhealthy := below(active, "healthy"), below(active, "unhealthy")
	interval := cmp.Or(positive(healthy.text("interval")), positive(unhealthy.text("interval")))
	if interval == "" {
		return
	}
	health := NewMapping().Set("path", cmp.Or(active.text("http_path"), "/"))
	for _, s := range []struct{ key, value string }{{"interval", interval}, {"timeout", positive(active.text("timeout"))},
		{"healthy", positive(healthy.text("successes"))}, {"unhealthy", positive(unhealthy.text("http_failures"))}} {
		if s.value != "" {
			health.Set(s.key, Plain(s.value))
		}
	}
	if statuses := texts(healthy.get("http_statuses")); len(statuses) > 0 {
		health.Set("status", statuses)
	}
	u.SetAt(active.Mark, "health", health)
}

// below returns an entity whose keys are those of a mapping, which is empty if there is none.
func below(e *entity, key string) *entity {
	if v := e.get(key); v != nil && v.Kind == strict.Mapping {
		return &entity{Value: v}
	}
	return &entity{Value: strict.NewMapping(e.Mark)}
}

// positive returns a number that isn't 0, or "".
func positive(text string) string {
	if n, err := strconv.ParseFloat(text, 64); err != nil || n <= 0 {
		return ""
	}
	return text
}

// upstreamTimes sets the time-outs that aren't Kong's 60 seconds.
func (k *kong) upstreamTimes(u *Mapping, service *entity) {
	for from, to := range map[string]string{"connect_timeout": "connect_timeout", "read_timeout": "response_header_timeout"} {
		if ms := positive(service.text(from)); ms != "" && ms != "60000" {
			u.SetAt(service.at(from), to, ms+"ms")
		}
	}
	slices.SortStableFunc(u.pairs, func(a, b *pair) int { return strings.Compare(order(a.key), order(b.key)) })
	if t := service.text("write_timeout"); t != "" && t != "60000" {
		k.Notef(service.at("write_timeout"), "write_timeout: the gate has no limit for sending a request's body")
	}
}

// order returns a text by which the keys of an upstream are sorted: where it is, how targets are chosen, times.
func order(key string) string {
	return map[string]string{"connect_timeout": "2", "response_header_timeout": "3"}[key]
}

// noteService notes what is different for a service.
func (k *kong) noteService(service *entity) {
	if n := service.text("retries"); n != "" && n != "5" {
		k.Notef(service.at("retries"), "retries: the gate repeats a request once, and only where the service can't have acted on it")
	}
}

// notePathHandling notes path_handling: v1, which joins paths in another way.
func (k *kong) notePathHandling(route *entity) {
	if route.text("path_handling") == "v1" && strings.TrimRight(route.service.text("path"), "/") != "" {
		k.Notef(route.at("path_handling"), "path_handling: v1 joins the paths of service and request without a slash between them; "+
			"the gate always has one")
	}
}

// upstreamTLS sets how the gate and the service authenticate to each other.
func (k *kong) upstreamTLS(u *Mapping, service *entity, a address) {
	if url := fmt.Sprint(a.url(a.host, a.port)); !strings.HasPrefix(url, "https:") {
		return
	}
	if a.scheme == "grpcs" {
		u.Set("protocol", "http2")
	}
	switch service.text("tls_verify") {
	case "false":
		u.SetAt(service.at("tls_verify"), "ssl_verify", false)
	case "":
		k.Notef(service.Mark, "the certificate of the service %s is verified, other than by Kong's default: for an authority of your own write "+
			"ca_file", service.name())
	}
	k.authorities(u, service)
	k.clientCertificate(u, service)
}

// authorities writes the authorities that a service trusts to a file.
func (k *kong) authorities(u *Mapping, service *entity) {
	var all strings.Builder
	for _, v := range service.list("ca_certificates") {
		ca := k.find("ca_certificates", v)
		if ca == nil || isReference(ca.text("cert")) {
			k.Notef(v.Mark, "ca_certificates: the certificate isn't in the files: write it to the file of ca_file")
			continue
		}
		all.WriteString(strings.TrimSpace(ca.text("cert")) + "\n")
	}
	if all.Len() > 0 {
		u.SetAt(service.at("ca_certificates"), "ca_file",
			k.AddFile("certificates/"+fileName(service.name())+"-ca.pem", []byte(all.String()), false))
	}
}

// clientCertificate writes the certificate by which the gate authenticates to a service, and its key, to files.
func (k *kong) clientCertificate(u *Mapping, service *entity) {
	v := service.get("client_certificate")
	if v == nil {
		return
	}
	c := k.find("certificates", v)
	if c == nil || isReference(c.text("cert")+c.text("key")) || c.text("key") == "" {
		k.Notef(v.Mark, "client_certificate: the certificate and its key aren't in the files: write client_cert_file and client_key_file")
		return
	}
	name := "certificates/" + fileName(service.name())
	pem := []byte(strings.TrimSpace(c.text("cert")) + "\n")
	u.SetAt(service.at("client_certificate"), "client_cert_file", k.AddFile(name+".pem", pem, false))
	u.SetAt(service.at("client_certificate"), "client_key_file", k.AddFile(name+".key", []byte(strings.TrimSpace(c.text("key"))+"\n"), true))
}
