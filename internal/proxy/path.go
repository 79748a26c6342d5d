package proxy

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// An ambiguity is a part of a request that servers parse in different ways. The upstream must get the request that was authorized, so each
// is refused or removed unless the route allows it.
type ambiguity uint8

const (
	encodedSlash   ambiguity = 1 << iota // %2F
	doubleSlash                          // //
	semicolon                            // ; (some servers remove path parameters)
	methodOverride                       // another method, in a header or a parameter
)

// ambiguities maps the values of route.allow.
var ambiguities = map[string]ambiguity{
	"encoded_slash": encodedSlash, "double_slash": doubleSlash, "semicolon": semicolon, "method_override": methodOverride,
}

// refusal returns the error for a path with the ambiguities a. It names the setting that allows them.
func (a ambiguity) refusal() error {
	var texts, names []string
	for _, one := range []struct {
		ambiguity
		text, name string
	}{{encodedSlash, "%2F", "encoded_slash"}, {doubleSlash, "//", "double_slash"}, {semicolon, "a semicolon", "semicolon"}} {
		if a&one.ambiguity != 0 {
			texts, names = append(texts, one.text), append(names, one.name)
		}
	}
	return fmt.Errorf("the path has %s: if the upstream parses that as one path, write route.allow: [%s]",
		strings.Join(texts, " and "), strings.Join(names, ", "))
}

// A target is the parsed path of a request.
type target struct {
	path        string // decoded once; rules are matched with it
	raw         string // as it is forwarded: see sentSegment
	ambiguities ambiguity
}

// parsePath parses the path of a request target (RFC 9112 §3.2). It returns an error for a path that no route can allow.
func parsePath(escaped string) (target, error) {
	if escaped == "" || escaped[0] != '/' {
		return target{}, errors.New("the path doesn't begin with a slash")
	}
	if plainPath(escaped) {
		return target{path: escaped, raw: escaped}, nil
	}
	var found ambiguity
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
	return target{path: path, raw: "/" + strings.Join(sent, "/"), ambiguities: found}, nil
}

// plainPath reports whether decoding and cleaning can't change a path. It has unreserved characters only, and its segments don't begin with
// a dot and aren't empty, except for the last one.
func plainPath(p string) bool {
	for i := range len(p) {
		switch c := p[i]; {
		case c == '/':
			if i+1 < len(p) && (p[i+1] == '/' || p[i+1] == '.') {
				return false
			}
		case unreserved(c):
		default:
			return false
		}
	}
	return true
}

// decodeSegment decodes a segment once. It returns an error for bytes that aren't UTF-8, control characters, backslashes, and escapes in
// the decoded segment, which another server might decode again.
func decodeSegment(segment string) (string, error) {
	if strings.ContainsAny(segment, "?#") {
		return "", errors.New("the path has # or ?")
	}
	decoded, err := url.PathUnescape(segment)
	if err != nil {
		return "", errors.New("the path has a bad escape")
	}
	if !utf8.ValidString(decoded) { // RFC 3629 §3: no overlong forms, no surrogates
		return "", errors.New("the path isn't UTF-8")
	}
	for i := range len(decoded) {
		switch c := decoded[i]; {
		case c < 0x20 || c == 0x7f:
			return "", fmt.Errorf("the path has the control character %#02x", c)
		case c == '\\':
			return "", errors.New("the path has a backslash")
		}
	}
	if hasEscape(decoded) {
		return "", errors.New("the path is encoded twice")
	}
	return decoded, nil
}

// hasEscape reports whether s has a percent escape.
func hasEscape(s string) bool {
	isHex := func(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '%' && isHex(s[i+1]) && isHex(s[i+2]) {
			return true
		}
	}
	return false
}

// checkDots returns an error if a decoded path has a dot segment (RFC 3986 §3.3), also with path parameters.
func checkDots(path string) error {
	for segment := range strings.SplitSeq(path, "/") {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return errors.New("the path has a dot segment")
		}
	}
	return nil
}

// sentSegment returns a segment as it is forwarded. Escapes of unreserved characters are decoded, the digits of others are in upper case
// (RFC 3986 §6.2.2), and characters that a path can't have are escaped. Other escapes stay: for some upstreams, %3A and %2B aren't : and +.
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

// unreserved reports whether a character is unreserved: its escape is equivalent to it (RFC 3986 §2.3).
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
