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
