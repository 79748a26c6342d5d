package authserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"sallyport/internal/cache"
)

// Fetching has what the fetches of metadata documents need of their surroundings. The zero value is that of a server on the internet.
type Fetching struct {
	Resolver *net.Resolver  // default: the system's
	Roots    *x509.CertPool // default: the system's
	Loopback bool           // documents may be on this machine: every listener of the gate is on a loopback address
}

// documents fetches and caches metadata documents of clients (Client ID Metadata Document §4). The URL is a stranger's, so a fetch can
// reach only public addresses, follows no redirect and is bounded in time and size.
type documents struct {
	now   func() time.Time
	http  *http.Client
	slots chan struct{} // fetches under way

	mu  sync.Mutex // guards all
	all *cache.ExpiringMap[string, *document]
}

// A document is a valid metadata document. It is immutable.
type document struct {
	clientMetadata
	until time.Time
}

const (
	maxDocument     = 5 << 10 // bytes
	documentTimeout = 5 * time.Second
	maxDocuments    = 1000
	maxFetches      = 16 // at once

	// A document is cached as long as its server says, within these bounds. Without a word of the server it is cached for the default.
	minDocumentAge     = time.Minute
	maxDocumentAge     = 24 * time.Hour
	defaultDocumentAge = 5 * time.Minute
)

// newDocuments returns an empty cache. The caller calls reach before the first fetch.
func newDocuments(now func() time.Time) *documents {
	return &documents{
		now: now, slots: make(chan struct{}, maxFetches),
		all: cache.NewExpiringMap[string](maxDocuments, func(d *document) time.Time { return d.until }),
	}
}

// reach sets what the fetches need. It is called before the first fetch of a configuration.
func (d *documents) reach(f Fetching) {
	dialer := &net.Dialer{Timeout: documentTimeout, Resolver: f.Resolver, Control: func(_, address string, _ syscall.RawConn) error {
		return checkAddress(address, f.Loopback)
	}}
	client := &http.Client{
		Timeout: documentTimeout,
		Transport: &http.Transport{ // without a proxy, whose own connections nothing checks
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: f.Roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10, TLSHandshakeTimeout: documentTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.http = client
}

// peek returns a cached document, or nil.
func (d *documents) peek(id string) *document {
	d.mu.Lock()
	defer d.mu.Unlock()
	if found, ok := d.all.Get(id); ok && d.now().Before(found.until) {
		return found
	}
	return nil
}

// get returns the document of a client_id, from the cache or from its server. An error is never cached.
func (d *documents) get(ctx context.Context, id string) (*document, error) {
	if found := d.peek(id); found != nil {
		return found, nil
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	default:
		return nil, fmt.Errorf("%w: too many metadata documents are being fetched", ErrUnavailable)
	}
	fetched, err := d.fetch(ctx, id)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all.Put(id, fetched)
	return fetched, nil
}

func (d *documents) fetch(ctx context.Context, id string) (*document, error) {
	ctx, cancel := context.WithTimeout(ctx, documentTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, id, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	d.mu.Lock()
	client := d.http
	d.mu.Unlock()
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("expected status 200, got %d", res.StatusCode)
	case err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json"):
		return nil, fmt.Errorf("expected application/json, got %q", res.Header.Get("Content-Type"))
	case res.Header.Get("Content-Encoding") != "":
		return nil, fmt.Errorf("the document has the Content-Encoding %q", res.Header.Get("Content-Encoding"))
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxDocument {
		return nil, fmt.Errorf("the document is longer than %d bytes", maxDocument)
	}
	found := &document{until: d.now().Add(documentAge(res.Header))}
	if err := json.Unmarshal(body, &found.clientMetadata); err != nil {
		return nil, fmt.Errorf("the document can't be read: %w", err)
	}
	return found, found.judge(id)
}

// judge returns an error for a document that isn't that of a public client with this client_id.
func (d *document) judge(id string) error {
	switch {
	case d.ClientID != id:
		return fmt.Errorf("its client_id is %q, and not its own URL", d.ClientID)
	case d.Secret != "":
		return errors.New("it has a client_secret, which everybody can read")
	case d.AuthMethod != "" && d.AuthMethod != "none" && !slices.Contains(d.AuthMethods, "none"):
		return fmt.Errorf("its client authenticates by %s, and not by none", d.AuthMethod)
	}
	return d.tidy()
}

// documentAge returns how long a response is cached (RFC 9111 §5.2).
func documentAge(h http.Header) time.Duration {
	age := defaultDocumentAge
	for directive := range strings.SplitSeq(strings.Join(h["Cache-Control"], ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(strings.ToLower(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minDocumentAge
		case "max-age":
			if n, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 32); err == nil {
				age = time.Duration(n) * time.Second
			}
		}
	}
	return min(max(age, minDocumentAge), maxDocumentAge)
}

// checkAddress returns an error unless a document may be fetched from an address, which is the one that is dialled: what a name led to
// before counts for nothing.
func checkAddress(address string, loopback bool) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	a := ap.Addr().WithZone("").Unmap()
	if nat64.Contains(a) { // the IPv4 address is in it (RFC 6052 §2.2)
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if loopback && a.IsLoopback() {
		return nil
	}
	inside := func(p netip.Prefix) bool { return p.Contains(a) }
	if a.Is6() && !publicIPv6.Contains(a) || slices.ContainsFunc(specialUse, inside) {
		return fmt.Errorf("%s isn't a public address", a)
	}
	return nil
}

// The addresses that are not public: the registries of special-purpose addresses (RFC 6890), and all of IPv6 outside of publicIPv6.
var (
	publicIPv6 = netip.MustParsePrefix("2000::/3")
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	specialUse = prefixes(
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
	)
)

func prefixes(all ...string) (list []netip.Prefix) {
	for _, text := range all {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}
