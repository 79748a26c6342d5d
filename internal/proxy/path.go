package proxy

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// A trick is something in a request that one server reads in one way and the next in another. What is judged must be what is
// sent, so each is refused, or taken out, unless the route allows it.
type trick uint8

const (
	encodedSlash   trick = 1 << iota // %2F
	doubleSlash                      // //
	semicolon                        // ; (some servers cut path parameters off)
	methodOverride                   // another method, in a header or a parameter
)

var tricks = map[string]trick{
	"encoded_slash": encodedSlash, "double_slash": doubleSlash, "semicolon": semicolon, "method_override": methodOverride,
}

// refused says which tricks of a path are refused, and which setting allows them.
func (t trick) refused() error {
	var held, names []string
	for _, one := range []struct {
		trick
		text, name string
	}{{encodedSlash, "%2F", "encoded_slash"}, {doubleSlash, "//", "double_slash"}, {semicolon, "a semicolon", "semicolon"}} {
		if t&one.trick != 0 {
			held, names = append(held, one.text), append(names, one.name)
		}
	}
	return fmt.Errorf("the path holds %s: if the upstream reads that as one path, write route.allow: [%s]",
		strings.Join(held, " and "), strings.Join(names, ", "))
}

// A target is a request's path, read once.
type target struct {
	path   string // decoded once: what rules are matched with
	raw    string // as it is sent: see sentSegment
	tricks trick
}

// parsePath decodes the path of a request target (RFC 9112 §3.2) as it came, and refuses what no route can allow.
func parsePath(escaped string) (target, error) {
	if escaped == "" || escaped[0] != '/' {
		return target{}, errors.New("the path doesn't begin with a slash")
	}
	if plainPath(escaped) {
		return target{path: escaped, raw: escaped}, nil
	}
	var found trick
	segments := strings.Split(escaped[1:], "/")
	sent := make([]string, len(segments))
	for n, segment := range segments {
		decoded, err := decodeSegment(segment)
		if err != nil {
			return target{}, err
		}
		if strings.Contains(decoded, "/") {
			found |= encodedSlash
		}
		if strings.Contains(decoded, ";") {
			found |= semicolon
		}
		if segment == "" && n < len(segments)-1 {
			found |= doubleSlash
		}
		segments[n], sent[n] = decoded, sentSegment(segment)
	}
	path := "/" + strings.Join(segments, "/")
	if err := checkDots(path); err != nil {
		return target{}, err
	}
	if strings.Contains(path[1:], "//") || strings.HasPrefix(path, "//") {
		found |= doubleSlash
	}
	return target{path: path, raw: "/" + strings.Join(sent, "/"), tricks: found}, nil
}

// plainPath reports whether a path reads the same however often it is decoded or cleaned: unreserved characters in
// segments that are neither empty (but the last) nor begin with a dot.
func plainPath(p string) bool {
	for i := range len(p) {
		switch c := p[i]; {
		case c == '/':
			if i+1 < len(p) && (p[i+1] == '/' || p[i+1] == '.') {
				return false
			}
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return true
}

// decodeSegment decodes one segment once. Bytes that aren't UTF-8, controls, backslashes, and escapes that survive decoding
// are refused: the next server might decode them again.
func decodeSegment(segment string) (string, error) {
	if strings.ContainsAny(segment, "?#") {
		return "", errors.New("the path holds # or ?")
	}
	decoded, err := url.PathUnescape(segment)
	if err != nil {
		return "", errors.New("the path holds a bad escape")
	}
	if !utf8.ValidString(decoded) { // RFC 3629 §3: no overlong forms, no surrogates
		return "", errors.New("the path isn't UTF-8")
	}
	for i := range len(decoded) {
		switch c := decoded[i]; {
		case c < 0x20 || c == 0x7f:
			return "", fmt.Errorf("the path holds the control character %#02x", c)
		case c == '\\':
			return "", errors.New("the path holds a backslash")
		}
	}
	if holdsEscape(decoded) {
		return "", errors.New("the path is encoded twice")
	}
	return decoded, nil
}

// holdsEscape reports whether s holds a percent escape.
func holdsEscape(s string) bool {
	isHex := func(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '%' && isHex(s[i+1]) && isHex(s[i+2]) {
			return true
		}
	}
	return false
}

// checkDots refuses dot segments (RFC 3986 §3.3) in the decoded path, with path parameters behind them too.
func checkDots(path string) error {
	for segment := range strings.SplitSeq(path, "/") {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return errors.New("the path holds a dot segment")
		}
	}
	return nil
}

// sentSegment is a segment as it is sent: as it came, with escapes of unreserved characters decoded and the others' digits in upper case
// (RFC 3986 §6.2.2), and with escapes for what no path may hold as it is. %3A and %2B mean something else to some upstreams than : and +.
func sentSegment(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		escaped := c == '%' && i+2 < len(s)
		if escaped {
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		}
		if unreserved(c) || !escaped && strings.IndexByte("!$&'()*+,=:@;[]", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		const hex = "0123456789ABCDEF"
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String()
}

// unreserved characters mean the same with an escape and without (RFC 3986 §2.3).
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// unhex is the value of a hexadecimal digit.
func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
