package auth

// FoldHeader returns a header's name in the one spelling of all that an upstream may read alike: upper case, and - for every sign.
func FoldHeader(name string) string { return string(AppendFolded(nil, name)) }

// AppendFolded appends a folded name to b.
func AppendFolded(b []byte, name string) []byte {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z':
			b = append(b, c-'a'+'A')
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			b = append(b, c)
		default:
			b = append(b, '-')
		}
	}
	return b
}

// SplitQuoted splits a header's value at a separator that isn't in a quoted string (RFC 9110 §5.6.4). closed is false if the last quoted
// string doesn't end.
func SplitQuoted(value string, separator byte) (parts []string, closed bool) {
	quoted, escaped, start := false, false, 0
	for i := range len(value) {
		switch c := value[i]; {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == separator && !quoted:
			parts, start = append(parts, value[start:i]), i+1
		}
	}
	return append(parts, value[start:]), !quoted
}
