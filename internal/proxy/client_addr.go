package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientAddr returns the client's address from a trusted proxy's X-Forwarded-For. It is the zero Addr if the address is unknown. It is
// never the proxy's, because a rule for internal addresses would then let every client in. An unknown address is logged once: with a
// misconfigured proxy, every request has one.
func (e *entrance) clientAddr(r *http.Request, proxy netip.Addr) netip.Addr {
	a, err := e.forwardedFor(r.Header["X-Forwarded-For"])
	if err != nil {
		e.unknown.Do(func() {
			e.log.Warn("a trusted proxy doesn't say who the client is: its address is unknown, "+
				"and allow refuses where it asks for client_ip", "proxy", proxy.String(), "error", err)
		})
	}
	return a
}

// forwardedFor returns the client's address from the lines of X-Forwarded-For: the last address that isn't a trusted proxy's. The client
// may have written the addresses on its left. If all are trusted proxies', the first one is the client's: a trusted proxy added it.
func (e *entrance) forwardedFor(lines []string) (a netip.Addr, err error) {
	err = errors.New("X-Forwarded-For is missing: let the proxy set it, or take the address out of trusted_proxies if it is a client's")
	for _, line := range slices.Backward(lines) {
		for more := true; more; {
			var last string
			if line, last, more = cutLast(line); last == "" {
				return netip.Addr{}, errors.New("X-Forwarded-For: expected an address, got an empty entry")
			}
			if a, err = parseNode(last); err != nil || !e.trusts(a) {
				return a, err
			}
		}
	}
	return a, err
}

// cutLast cuts the last entry off a list (RFC 9110 §5.6.1). It doesn't allocate, so that a long list costs little.
func cutLast(list string) (before, last string, more bool) {
	comma := strings.LastIndexByte(list, ',')
	return list[:max(comma, 0)], strings.Trim(list[comma+1:], " \t"), comma >= 0
}

// parseNode parses an address of X-Forwarded-For. Some proxies add the client's port: 192.0.2.7:4711, [2001:db8::1]:4711. A zone is an
// error, because it names an interface of another machine. So is the unspecified address, which no client has (RFC 4291 §2.5.2).
func parseNode(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		if strings.HasSuffix(text, "]") {
			text += ":0"
		}
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(text)
		a = withPort.Addr()
	}
	if err != nil || a.Zone() != "" || a.Unmap().IsUnspecified() {
		return netip.Addr{}, fmt.Errorf("X-Forwarded-For: expected an address, got %q", clip(text))
	}
	return a.Unmap(), nil
}
