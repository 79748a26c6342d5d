package strict

import (
	"bytes"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"
)

// syntaxError says what keeps data from being YAML, and on which line; the text is empty if nothing does.
func syntaxError(file string, data []byte) (Mark, string) {
	if !utf8.Valid(data) {
		return Mark{file, invalidLine(data)}, "the file isn't UTF-8 here: save it as UTF-8"
	}
	err := decodeAll(data)
	if err == nil {
		return Mark{}, ""
	}
	what := parserWords(err)
	line, text := locate(data, what)
	return Mark{file, line}, explain(what, text)
}

func invalidLine(data []byte) int {
	line := 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		data = data[size:]
	}
	return line
}

var parserLine = regexp.MustCompile(`^yaml: (line \d+: )?`)

// parserWords is the parser's message without its line, which is now the line, now the one before, now where the mapping
// around it began.
func parserWords(err error) string { return parserLine.ReplaceAllString(err.Error(), "") }

// locate finds the line at which the parser stumbles: the last one of the shortest beginning that fails in the same words.
func locate(data []byte, what string) (line int, text string) {
	lines := bytes.SplitAfter(data, []byte("\n"))
	n := sort.Search(len(lines), func(n int) bool {
		err := decodeAll(bytes.Join(lines[:n], nil))
		return err != nil && parserWords(err) == what
	})
	n = max(1, min(n, len(lines)))
	return n, string(lines[n-1])
}

var placeholder = regexp.MustCompile(`\$\{|\{vault:`)

// explain turns the parser's words into what to do. The line's text decides between causes; it isn't shown, since it may
// hold a secret.
func explain(what, text string) string {
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	brackets := strings.Contains(what, "',' or")
	switch {
	case strings.Contains(indent, "\t"):
		return "the line is indented with a tab: use spaces"
	case brackets && placeholder.MatchString(text):
		return "inside [ ] and { } a ${...} needs quotes around it: \"${env:NAME}\""
	case brackets:
		return "a [ or { isn't closed, or a comma is missing: close it, or put the value in quotes"
	case strings.HasPrefix(what, "mapping values are not allowed"):
		return "a second \": \" on the line, or wrong indentation: put the value in quotes, or indent it as its neighbours"
	case strings.HasPrefix(what, "did not find expected key"), strings.HasPrefix(what, "did not find expected '-'"):
		return "the indentation is wrong: keys of one mapping, and items of one list, begin in the same column"
	case strings.HasPrefix(what, "found character that cannot start"):
		return "a value can't begin with this character (@ ` % or a tab): put it in quotes"
	case strings.HasPrefix(what, "could not find expected ':'"):
		return "a colon is missing: write key: value"
	case strings.HasPrefix(what, "found unexpected end of stream"):
		return "a quote isn't closed: add it at the end of the value"
	case strings.HasPrefix(what, "did not find expected node content"):
		return "a value is missing; one that begins with : , ] or } must be in quotes, as in \"::1\""
	case strings.HasPrefix(what, "unknown anchor"), strings.HasPrefix(what, "did not find expected alphabetic or numeric"):
		return "a value that begins with * or & must be in quotes, as in \"*.example.com\""
	}
	return "this isn't YAML: " + what
}
