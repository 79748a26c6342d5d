package console

import (
	"html"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzText checks that a text of a stranger becomes HTML without a tag and without a character that can't be seen, and that what can be
// seen is all there.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "john", evil, "a\x00b", "\xff", "שלום", "<bdi>", "&lt;", "\u2066\u200d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		inner, opened := strings.CutPrefix(string(text(s)), "<bdi>")
		inner, closed := strings.CutSuffix(inner, "</bdi>")
		if !opened || !closed || strings.ContainsAny(inner, "<>\"'") || !utf8.ValidString(inner) {
			t.Errorf("%q becomes %q", s, inner)
		}
		if strings.ContainsFunc(inner, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			t.Errorf("%q becomes %q, in which something can't be seen", s, inner)
		}
		if clean := !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }); clean && utf8.ValidString(s) &&
			html.UnescapeString(inner) != s {
			t.Errorf("%q becomes %q", s, inner)
		}
	})
}
