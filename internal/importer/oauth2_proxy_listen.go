package importer

import (
	"net/netip"
	"strings"
)

// setListeners sets the addresses, TLS, the admin listener, trusted proxies and the log.
func (d *o2pDeployment) setListeners() {
	d.setListen()
	d.setAdmin()
	d.setProxies()
	if d.given("request_logging") && !d.on("request_logging", true) {
		d.Process.Mapping("log").Set("access", false)
	}
	if header := d.text("request_id_header"); header != "" && !strings.EqualFold(header, "X-Request-Id") {
		d.note("request_id_header", "the header of a request's ID is X-Request-Id, kept from trusted_proxies only")
	}
}

// setListen sets listen.
func (d *o2pDeployment) setListen() {
	address := d.address("http_address", "127.0.0.1:4180")
	if !d.given("tls_cert_file") {
		d.Process.Set("listen", address)
		d.unused("https_address", "without tls_cert_file oauth2-proxy doesn't listen there")
		d.unused("force_https", "the gate doesn't redirect from http: let the proxy in front do it, and write public_url with https")
		return
	}
	secure := NewMapping().Set("address", d.address("https_address", ":443")).Set("tls", d.tls())
	if d.on("force_https", false) {
		d.note("force_https", "the gate doesn't redirect from http, so it doesn't listen at http_address: let another server redirect")
		d.Process.Set("listen", []*Mapping{secure})
		return
	}
	d.Process.Set("listen", []*Mapping{NewMapping().Set("address", address), secure})
}

// tls returns the TLS settings of the https listener.
func (d *o2pDeployment) tls() *Mapping {
	tls := NewMapping().Set("cert_file", d.text("tls_cert_file")).Set("key_file", d.text("tls_key_file"))
	if version, ok := strings.CutPrefix(d.text("tls_min_version"), "TLS"); ok {
		tls.Set("min_version", version)
	}
	if suites := d.list("tls_cipher_suites"); len(suites) > 0 {
		tls.Set("cipher_suites", suites)
	}
	return tls
}

// address returns host:port of an address option.
func (d *o2pDeployment) address(name, byDefault string) string {
	text := d.textOr(name, byDefault)
	text = strings.TrimPrefix(strings.TrimPrefix(text, "http://"), "https://")
	if lower := strings.ToLower(text); strings.HasPrefix(lower, "unix:") || strings.HasPrefix(lower, "fd:") {
		d.note(name, "the gate listens on TCP only: it listens on %s here", byDefault)
		return byDefault
	}
	return text
}

// setAdmin sets the admin listener, which has the metrics.
func (d *o2pDeployment) setAdmin() {
	d.unused("metrics_secure_address", "the admin listener has no TLS: scrape it over a private network")
	d.unused("metrics_tls_cert_file", "the admin listener has no TLS: scrape it over a private network")
	d.unused("metrics_tls_key_file", "the admin listener has no TLS: scrape it over a private network")
	if !d.given("metrics_address") {
		return
	}
	d.Process.Set("admin", NewMapping().Set("listen", d.address("metrics_address", "127.0.0.1:9000")))
	d.note("metrics_address", "it is the admin listener: it also answers /healthz and /readyz, and the metrics have other names")
}

// setProxies sets trusted_proxies. An address that may pass without authentication never passes.
func (d *o2pDeployment) setProxies() {
	if d.given("trusted_ips") {
		d.note("trusted_ips", "requests from these addresses must authenticate now: the gate opens nothing to an address. "+
			"A rule with auth: optional and an expression of request.client_ip can do it")
	}
	proxies := d.proxyAddresses()
	behind := d.on("reverse_proxy", false)
	switch {
	case len(proxies) > 0 && behind:
		d.Process.Set("trusted_proxies", proxies)
	case behind && !d.asksOnly():
		d.note("reverse_proxy", "X-Forwarded-* headers are believed from listed addresses only: write the address of your proxy into "+
			"trusted_proxies")
	}
	header := d.textOr("real_client_ip_header", "X-Real-IP")
	if behind && !strings.EqualFold(header, "X-Forwarded-For") && !d.asksOnly() {
		d.Notef(d.place("real_client_ip_header", "reverse_proxy"), "real_client_ip_header: the client's address is read from "+
			"X-Forwarded-For, not from %s: let the proxy set it", header)
	}
}

// proxyAddresses returns the addresses and networks of trusted_proxy_ips that the gate takes.
func (d *o2pDeployment) proxyAddresses() (all []string) {
	for _, w := range d.words("trusted_proxy_ips") {
		text := w.text
		_, err := netip.ParseAddr(text)
		prefix, wrong := netip.ParsePrefix(text)
		switch {
		case err != nil && wrong != nil:
			d.Notef(w.place, "%q isn't an address or a network, and is left out", text)
		case wrong == nil && prefix.Bits() == 0:
			d.Notef(w.place, "%s is every address, and is left out: list the addresses of your proxies", text)
		default:
			all = append(all, text)
		}
	}
	return all
}

// note notes something about an option.
func (d *o2pDeployment) note(option, format string, args ...any) {
	d.get(option)
	d.Notef(d.place(option), option+": "+format, args...)
}

// unused notes that an option has no effect any more, if it is set.
func (d *o2pDeployment) unused(option, text string) {
	if d.given(option) && d.text(option) != "false" {
		d.note(option, "%s", text)
	}
}
