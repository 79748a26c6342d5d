package check

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/auth"
)

// The functions below check the text of a setting. The error says what is wrong and what to write instead. It doesn't have the text itself.

var (
	token    = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$") // RFC 9110 §5.6.2
	hostName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$`)
	method   = regexp.MustCompile(`^[A-Z][A-Z_-]*$`)
	control  = regexp.MustCompile(`[\x00-\x1f\x7f]`)
)

// Path checks a path of a route or a rule: a decoded prefix of whole segments.
func Path(p string) error {
	segments := strings.Split(p, "/")
	switch {
	case !strings.HasPrefix(p, "/"):
		return errors.New("a path begins with /")
	case strings.Contains(p, "//"):
		return errors.New("an empty segment (//) never matches: write one /")
	case slices.Contains(segments, ".") || slices.Contains(segments, ".."):
		return errors.New("a dot segment (. or ..) never matches: write the path without it")
	case strings.ContainsAny(p, `?#\;%`) || control.MatchString(p):
		return errors.New(`a path is written decoded, without ? # \ ; and %: write only its segments`)
	case len(p) > 1 && strings.HasSuffix(p, "/"):
		return errors.New("a path is a prefix of whole segments: write it without the / at its end")
	}
	return nil
}

// Host checks a host of a route or a rule: a name, an address or *.domain.
func Host(h string) error {
	name, wild := strings.CutPrefix(h, "*.")
	address, err := netip.ParseAddr(h)
	switch {
	case err == nil && address.String() == h && address.Zone() == "":
		return nil
	case h == "*" || h == "_":
		return errors.New("a route or a rule without hosts matches every host: take it out")
	case strings.Contains(h, ","):
		return errors.New("write several hosts as a list, each as an element of its own")
	case strings.HasPrefix(h, "."):
		return errors.New("write *.example.com for the hosts below example.com")
	case strings.HasPrefix(h, "["):
		return errors.New("an IPv6 address is written here without brackets and port: write 2001:db8::1")
	case strings.Contains(h, "://"), strings.Contains(h, "/"):
		return errors.New("a host is a name without scheme and path: write app.example.com")
	case strings.ContainsAny(h, "~^$(){}[]|\\<>+?`"):
		return errors.New("regular expressions and placeholders aren't supported in a host: write app.example.com or *.example.com")
	case strings.Contains(h, ":"):
		return errors.New("a host is a name without port: write app.example.com")
	case strings.Contains(name, "*"):
		return errors.New("a wildcard is the whole first label: write *.example.com")
	case strings.ToLower(h) != h:
		return errors.New("a host is written in lower case")
	case wild && !strings.Contains(name, "."):
		return errors.New("a wildcard needs a domain of two labels or more: write *.example.com")
	case !hostName.MatchString(name):
		return errors.New("it isn't a host name: write app.example.com or *.example.com; other scripts as xn--...")
	}
	return nil
}

// ServerName checks the name that a certificate must have.
func ServerName(name string) error {
	if strings.HasPrefix(name, "*.") {
		return errors.New("it is the name in the certificate, and a wildcard isn't supported: write app.example.com")
	}
	return Host(name)
}

// Method checks a method of a rule.
func Method(m string) error {
	switch {
	case m == "*" || m == "ANY" || m == "ALL":
		return errors.New("a rule without methods matches every method: take it out")
	case strings.ContainsAny(m, ",| "):
		return errors.New("write several methods as a list: [GET, POST]")
	case !method.MatchString(m):
		return errors.New("a method is an upper-case word: write GET or POST")
	case m == "CONNECT" || m == "TRACE":
		return errors.New("CONNECT and TRACE are never served: take it out")
	}
	return nil
}

// ParseURL parses an absolute URL with one of the schemes. It returns an error for user information, which would be logged.
func ParseURL(text string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme):
		return nil, errors.New("expected a URL that begins with " + strings.Join(schemes, ":// or ") + "://")
	case u.User != nil:
		return nil, errors.New("a URL here can't have a user and a password: take them out")
	case net.ParseIP(u.Hostname()) == nil && hostPattern.MatchString(u.Hostname()):
		return nil, errors.New("its host can't be a pattern, a list or a variable: write the name of one host")
	}
	return u, urlDialect(text)
}

// URL checks an absolute URL without query and fragment.
func URL(text string, schemes ...string) error {
	u, err := ParseURL(text, schemes...)
	if err != nil {
		return err
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#") {
		return errors.New("a URL here can't have a query or a fragment: write it up to the ? or #")
	}
	return nil
}

// Origin checks an origin, which is compared with the Origin header and with scheme://host of requests (RFC 6454 §6.2).
func Origin(text string) error {
	u, err := ParseURL(text, "https", "http")
	switch {
	case err != nil:
		return err
	case u.Scheme+"://"+u.Host != text:
		return errors.New("expected only scheme://host[:port]: write https://app.example.com")
	case strings.ToLower(text) != text:
		return errors.New("an origin is written in lower case")
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return errors.New("an origin is written without the default port of its scheme: take the port out")
	}
	return nil
}

// Target checks the target of a redirect: an absolute URL, or an absolute path on the request's origin.
func Target(text string) error {
	if strings.HasPrefix(text, "/") {
		u, err := url.Parse(text)
		if err != nil || u.Host != "" || strings.HasPrefix(text, "//") || strings.ContainsAny(text, "\\") {
			return errors.New("expected a path such as /bye, or an absolute URL")
		}
		return urlDialect(text)
	}
	if _, err := ParseURL(text, "https", "http"); errors.Is(err, errPlaceholder) || errors.Is(err, errVariable) {
		return err
	} else if err != nil {
		return errors.New("expected an absolute URL such as https://app.example.com/bye, or a path such as /bye")
	}
	return nil
}

// fixedHeaders are headers of the connection or the message (RFC 9110 §7.6.1), and headers that the gate itself sets.
var fixedHeaders = map[string]string{
	"connection": hop, "keep-alive": hop, "proxy-authenticate": hop, "proxy-authorization": hop, "proxy-connection": hop, "te": hop,
	"trailer": hop, "transfer-encoding": hop, "upgrade": hop,
	"host": message, "content-length": message, "cookie": message, "content-type": message, "content-encoding": message, "expect": message,
	"forwarded": own, "x-forwarded-for": own, "x-forwarded-host": own, "x-forwarded-proto": own, "x-request-id": own,
	"dpop": proof,
}

const (
	hop     = "it belongs to the connection with the gate, and isn't forwarded: choose another header"
	message = "it belongs to the message itself: choose another header"
	own     = "the gate sets it itself: choose another header"
	proof   = "it carries a DPoP proof, which is for one request (RFC 9449): choose another header"
)

// ErrOwnHeader is the error for a header that the gate itself sets.
var ErrOwnHeader = errors.New(own)

// Header checks the name of a header that the gate sends.
func Header(name string) error {
	if !token.MatchString(name) || strings.ContainsAny(name, namePattern) {
		return errors.New("it isn't a header's name (RFC 9110 §5.1): write letters, digits and -")
	}
	if why := fixedHeaders[strings.ToLower(auth.FoldHeader(name))]; why != "" {
		return errors.New(why)
	}
	return nil
}

// ResponseHeader checks the name of a header that the client receives.
func ResponseHeader(name string) error {
	switch strings.ToLower(auth.FoldHeader(name)) {
	case "set-cookie", "location", "www-authenticate", "authorization", "content-security-policy", "cache-control":
		return errors.New("it has a fixed meaning in a response: choose another header")
	}
	return Header(name)
}

// namePattern has the characters that are valid in a name, and that other tools use for patterns and variables.
const namePattern = "$*^|"

// CookieName checks the name of a cookie without its prefix.
func CookieName(name string) error {
	lower := strings.ToLower(name)
	switch {
	case !token.MatchString(name) || strings.ContainsAny(name, namePattern):
		return errors.New("it isn't a cookie's name (RFC 6265 §4.1.1): write letters, digits, - and _")
	case strings.HasPrefix(lower, "__host-"), strings.HasPrefix(lower, "__secure-"):
		return errors.New("the gate adds the prefix itself: write the name without it")
	}
	return nil
}

// CookiePath checks the Path attribute of a cookie.
func CookiePath(path string) error {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, ";") || control.MatchString(path) {
		return errors.New("expected a path such as /")
	}
	if pathPattern.MatchString(path) || strings.TrimSpace(path) != path {
		return errors.New("a cookie's path is a prefix, not a pattern, and browsers don't send the cookie to other paths: " +
			"write /, or a path such as /app")
	}
	return nil
}

// MailDomain checks the domain of mail addresses, which is compared in lower case.
func MailDomain(domain string) error {
	switch {
	case domain == "*":
		return errors.New("without this key every domain may pass: take it out")
	case strings.ContainsAny(domain, "@*, "):
		return errors.New("each element is one full domain, without @ and *: write [example.com, example.org]")
	}
	return CookieDomain(domain)
}

// CookieDomain checks the Domain attribute of a cookie.
func CookieDomain(domain string) error {
	if strings.HasPrefix(domain, ".") {
		return errors.New("a domain includes its subdomains without a dot in front: take the dot out")
	}
	if !hostName.MatchString(domain) {
		return errors.New("expected a domain such as example.com, in lower case")
	}
	return nil
}

// HostCovers reports whether pattern, a host or *.domain, matches host. If host is a pattern, too, pattern must match all its hosts.
func HostCovers(pattern, host string) bool {
	suffix, wild := strings.CutPrefix(pattern, "*")
	return pattern == host || wild && strings.HasSuffix(host, suffix) && len(host) > len(suffix)
}

// PathCovers reports whether prefix is path or a prefix of whole segments of it.
func PathCovers(prefix, path string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// NotEmpty returns an error for an empty text.
func NotEmpty(text string) error {
	if text == "" {
		return errors.New("it is empty: write a value, or take it out")
	}
	return nil
}

// Scope checks one scope (RFC 6749 §3.3).
func Scope(text string) error {
	if text == "" || strings.ContainsAny(text, " \t\r\n\"\\") {
		return errors.New("each element is one scope (RFC 6749 §3.3): write [openid, profile]")
	}
	return nil
}

// ParamName checks the name of a parameter, or of a header with _ for -.
func ParamName(name string) error {
	if !token.MatchString(name) || strings.ContainsAny(name, namePattern) {
		return errors.New("it isn't a parameter's name: write letters, digits, - and _")
	}
	return nil
}

// IsToken reports whether a text is a token (RFC 9110 §5.6.2).
func IsToken(text string) bool { return token.MatchString(text) }

// HasControls reports whether a text has line breaks or other control characters.
func HasControls(text string) bool { return control.MatchString(text) }

var userinfo = regexp.MustCompile(`://[^/?#]*@`)

// Quote returns a value quoted for a message. A long value is shortened, and user information in a URL is replaced.
func Quote(text string) string {
	text = userinfo.ReplaceAllString(text, "://...@")
	if len(text) > 100 {
		text = strings.ToValidUTF8(text[:100], "") + "..."
	}
	return strconv.Quote(text)
}

// IsUUID reports whether s has the form of a UUID (RFC 9562 §4).
func IsUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
				return false
			}
		}
	}
	return true
}
