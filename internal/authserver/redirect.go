package authserver

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// maxRedirectURI bounds a redirect URI, in bytes.
const maxRedirectURI = 2000

// checkRedirectURI refuses what a code must not be sent to: it is absolute and has no fragment (RFC 6749 §3.1.2), and it is
// https, or http to this machine (RFC 8252 §7.3), or a scheme that an app owns, which is a domain name backwards (§7.1).
func checkRedirectURI(text string) error {
	if text == "" || len(text) > maxRedirectURI || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' || r == '*' }) {
		return errors.New("expected an absolute URL such as https://app.example.com/callback, without spaces or wildcards: it is compared exactly")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "":
		return errors.New("expected an absolute URL such as https://app.example.com/callback (RFC 6749 §3.1.2)")
	case strings.Contains(text, "#"):
		return errors.New("it has a fragment: take out # and what follows (RFC 6749 §3.1.2)")
	case u.User != nil:
		return errors.New("it has user information: take out what stands before @")
	case u.Scheme == "https" || u.Scheme == "http":
		return checkWebRedirect(u)
	case !strings.Contains(u.Scheme, "."):
		return errors.New("expected https, http to this machine, or an app's own scheme with a dot such as com.example.app:/callback (RFC 8252 §7.1)")
	}
	return nil
}

func checkWebRedirect(u *url.URL) error {
	switch {
	case u.Hostname() == "":
		return errors.New("it has no host")
	case u.Scheme == "http" && !auth.Loopback(u.Scheme+"://"+u.Host):
		return errors.New("codes over plain http can be read on the way: write https (http is only for 127.0.0.1, [::1] and localhost)")
	}
	return nil
}

// redirectURI returns where an authorization response goes; ok is false unless the client has registered it. It may be
// left out if the client has one only (RFC 6749 §3.1.2.3). Registered ones are compared as they are written (RFC 9700
// §2.1); a loopback address may come with any port, because an app learns its port when it starts (RFC 8252 §7.3).
func (c *client) redirectURI(asked string) (target string, ok bool) {
	if asked == "" {
		if len(c.RedirectURIs) != 1 {
			return "", false
		}
		return c.RedirectURIs[0], true
	}
	if slices.Contains(c.RedirectURIs, asked) {
		return asked, true
	}
	plain, isLoopback := withoutPort(asked)
	return asked, isLoopback && slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		other, ok := withoutPort(registered)
		return ok && other == plain
	})
}

// withoutPort takes the port out of an http URL to a loopback address; ok is false for any other.
func withoutPort(text string) (plain string, ok bool) {
	if checkRedirectURI(text) != nil {
		return "", false
	}
	rest, isHTTP := strings.CutPrefix(text, "http://")
	end := strings.IndexAny(rest, "/?")
	if !isHTTP || end < 0 {
		end = len(rest)
	}
	host, path := rest[:end], rest[end:]
	if _, port, err := net.SplitHostPort(host); err == nil {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return host + path, isHTTP && (host == "127.0.0.1" || host == "[::1]")
}

// sure reports whether nobody but the client gets what is sent to this redirect URI: other apps can listen on a loopback
// port or claim a scheme of their choice (RFC 8252 §8.6).
func (c *client) sure(redirect string) bool {
	return !c.Public || strings.HasPrefix(redirect, "https://")
}

// responseURI adds an authorization response's parameters to a redirect URI, which may have a query already (RFC 6749
// §3.1.2). It is put together as text, so that the client finds its URI as it has registered it.
func responseURI(redirect string, params url.Values) string {
	separator := "?"
	if strings.Contains(redirect, "?") {
		separator = "&"
	}
	return redirect + separator + params.Encode()
}
