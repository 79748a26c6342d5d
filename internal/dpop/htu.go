package dpop

import "strings"

// normalURL returns a URL without query and fragment, as RFC 3986 §6.2.2 and §6.2.3 normalize it: scheme and host in lower case, no
// default port, a path of / if there is none, escapes in upper case, and none for unreserved characters. It returns "" for a text that
// isn't a URL with a host; such a text equals no request.
//
// It doesn't remove dot segments: a client writes the path in its proof as in its request.
func normalURL(address string) string {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return ""
	}
	host, path := rest, "/"
	if n := strings.IndexAny(rest, "/?#"); n >= 0 {
		host, path = rest[:n], rest[n:]
	}
	if n := strings.IndexAny(path, "?#"); n >= 0 {
		path = path[:n]
	}
	if path == "" {
		path = "/"
	}
	scheme, host = strings.ToLower(scheme), strings.ToLower(host)
	host = strings.TrimSuffix(host, ":")
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	if host == "" {
		return ""
	}
	return scheme + "://" + host + normalEscapes(path)
}

// normalEscapes normalizes the percent-encoding of a path. An incomplete escape stays as it is.
func normalEscapes(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	b := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) || unhex(path[i+1]) < 0 || unhex(path[i+2]) < 0 {
			b = append(b, path[i])
			continue
		}
		c := byte(unhex(path[i+1])<<4 | unhex(path[i+2]))
		if unreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, strings.ToUpper(path[i:i+3])...)
		}
		i += 2
	}
	return string(b)
}

// unreserved reports whether c never needs an escape (RFC 3986 §2.3).
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int { return strings.IndexByte("0123456789abcdef", lower(c)) }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
