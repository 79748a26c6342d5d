package oidc

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// A directHost is one entry of no_proxy: an address, a network, or a domain with all below it, each with or without a port, as curl and
// Go's net/http read the variable of that name. A host name is never resolved to compare it with a network.
type directHost struct {
	all     bool         // "*"
	network netip.Prefix // invalid: domain is set
	domain  string
	port    string // empty: every port
}

var domainName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$`)

// CheckNoProxy returns an error that names the first malformed entry of no_proxy, and shows what to write instead.
func CheckNoProxy(text string) error {
	_, err := parseNoProxy(text)
	return err
}

// parseNoProxy parses a list of entries that are separated by commas or spaces.
func parseNoProxy(text string) (all []directHost, err error) {
	for entry := range strings.FieldsFuncSeq(text, func(c rune) bool { return c == ',' || c == ' ' }) {
		d, err := parseDirectHost(strings.ToLower(entry))
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func parseDirectHost(entry string) (directHost, error) {
	if entry == "*" {
		return directHost{all: true}, nil
	}
	if network, err := netip.ParsePrefix(entry); err == nil {
		return directHost{network: network.Masked()}, nil
	}
	host, port := entry, ""
	if _, err := netip.ParseAddr(entry); err != nil {
		if h, p, err := net.SplitHostPort(entry); err == nil {
			host, port = h, p
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return directHost{}, errDirectHost(entry)
	}
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && a.Zone() == "" {
		return directHost{network: netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), port: port}, nil
	}
	host = strings.TrimPrefix(strings.TrimPrefix(host, "*."), ".")
	if !domainName.MatchString(host) || allDigits.MatchString(host) {
		return directHost{}, errDirectHost(entry)
	}
	return directHost{domain: host, port: port}, nil
}

func errDirectHost(entry string) error {
	return fmt.Errorf("%q is neither a host nor a network: write such as idp.example.com, .example.com, 10.0.0.0/8 or "+
		"idp.example.com:8443", entry)
}

// allDigits matches an incomplete address, which isn't a domain.
var allDigits = regexp.MustCompile(`^[0-9.]+$`)

// has reports whether a request to a URL bypasses the proxy.
func (d *directHost) has(u *url.URL) bool {
	if d.all {
		return true
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if d.port != "" && d.port != port {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if d.network.IsValid() {
		a, err := netip.ParseAddr(host)
		return err == nil && d.network.Contains(a.Unmap())
	}
	return host == d.domain || strings.HasSuffix(host, "."+d.domain)
}
