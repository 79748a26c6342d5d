package authserver

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// maxRedirectURI is the maximum length of a redirect URI, in bytes.
const maxRedirectURI = 2000

// checkRedirectURI returns an error unless codes may be sent to a redirect URI. It must be absolute, without a fragment (RFC 6749 §3.1.2),
// and have the scheme https, or http to a loopback address (RFC 8252 §7.3), or a private-use scheme, which is a reversed domain name
// (§7.1).
func checkRedirectURI(text string) error {
	forbidden := func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' || r == '*' }
	if text == "" || len(text) > maxRedirectURI || strings.ContainsFunc(text, forbidden) {
		return errors.New("expected an absolute URL such as https://app.example.com/callback, " +
			"without spaces or wildcards: it is compared exactly")
	}
	u, err := url.Parse(text)
	switch {
	case strings.Contains(authorityOf(text), "%"):
		return errors.New("its host has an escape, which could show another host than the one that is reached")
	case err != nil || u.Scheme == "":
		return errors.New("expected an absolute URL such as https://app.example.com/callback (RFC 6749 §3.1.2)")
	case strings.Contains(text, "#"):
		return errors.New("it has a fragment: take out # and what follows (RFC 6749 §3.1.2)")
	case u.User != nil:
		return errors.New("it has user information: take out the part before @")
	case u.Scheme == "https" || u.Scheme == "http":
		return checkWebRedirect(u)
	case !isAppScheme(u):
		return errors.New("expected https, http to this machine, or an app's own scheme " +
			"such as com.example.app:/callback or app://callback (RFC 8252 §7.1)")
	}
	return nil
}

// authorityOf returns the authority of a URI as it is written (RFC 3986 §3.2), or "".
func authorityOf(text string) string {
	_, rest, _ := strings.Cut(text, "//")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

// isAppScheme reports whether a URI can have the private-use scheme of an app: one with a dot, as RFC 8252 §7.1 has them, or one with //
// and a host after it, as many apps have them. The other schemes that browsers know run scripts, open files or start programs.
func isAppScheme(u *url.URL) bool {
	if strings.Contains(u.Scheme, ".") {
		return true
	}
	return u.Opaque == "" && u.Host != "" && !slices.Contains(browserSchemes, u.Scheme) && !strings.HasPrefix(u.Scheme, "ms-")
}

var browserSchemes = []string{
	"about", "acrobat", "blob", "callto", "cast", "chrome", "chrome-extension", "content", "data", "dict", "edge", "facetime", "feed", "file",
	"filesystem", "ftp", "ftps", "geo", "git", "gopher", "help", "imap", "intent", "itms", "itms-apps", "jar", "javascript", "jdbc", "ldap",
	"ldaps", "livescript", "mailto", "market", "mhtml", "mk", "mms", "moz-extension", "news", "nntp", "res", "resource", "rtsp", "search",
	"search-ms", "shell", "sftp", "sip", "sips", "sms", "smb", "ssh", "steam", "tel", "telnet", "tftp", "urn", "vbscript", "view-source",
	"wais", "web+search", "webcal", "ws", "wss", "wyciwyg", "x-apple", "xmpp",
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

// redirectURI returns the redirect URI of a request with the redirect_uri asked. It reports false unless the client has registered it. If
// the client has only one, asked may be empty (RFC 6749 §3.1.2.3). URIs are compared as strings (RFC 9700 §2.1), except that a loopback
// address matches with any port, because an app gets its port when it starts (RFC 8252 §7.3).
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

// withoutPort returns an http URL to a loopback address without its scheme and port. It reports false for any other URL.
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
	return host + path, isHTTP && (host == "127.0.0.1" || host == "[::1]" || host == "localhost")
}

// exclusive reports whether only the client can receive a response at a redirect URI. Other apps can listen on a loopback port, or claim
// the same private-use scheme (RFC 8252 §8.6).
func (c *client) exclusive(redirect string) bool {
	return !c.Public || strings.HasPrefix(redirect, "https://")
}

// responseURI adds parameters to a redirect URI, which may have a query (RFC 6749 §3.1.2). It does not parse the URI, so that the client
// gets it exactly as registered.
func responseURI(redirect string, params url.Values) string {
	separator := "?"
	if strings.Contains(redirect, "?") {
		separator = "&"
	}
	return redirect + separator + params.Encode()
}
