package strict

import (
	"bytes"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"
)

// syntaxError returns the first syntax error in data and its place. The text is empty if there is none.
func syntaxError(file string, data []byte) (Mark, string) {
	if !utf8.Valid(data) {
		return Mark{file, invalidLine(data)}, "the file isn't UTF-8 here: save it as UTF-8"
	}
	err := decodeAll(data)
	if err == nil {
		return Mark{}, ""
	}
	message := parserMessage(err)
	line, text := locate(data, message)
	return Mark{file, line}, explain(message, text)
}

// invalidLine returns the number of the first line that isn't UTF-8.
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

// parserMessage returns the parser's message without its line number, which isn't reliable: it can be the line before, or the first line
// of the mapping.
func parserMessage(err error) string { return parserLine.ReplaceAllString(err.Error(), "") }

// locate returns the line of a syntax error with a message. It is the last line of the shortest prefix of data with the same message.
func locate(data []byte, message string) (line int, text string) {
	lines := bytes.SplitAfter(data, []byte("\n"))
	n := sort.Search(len(lines), func(n int) bool {
		err := decodeAll(bytes.Join(lines[:n], nil))
		return err != nil && parserMessage(err) == message
	})
	n = max(1, min(n, len(lines)))
	return n, string(lines[n-1])
}

var placeholder = regexp.MustCompile(`\$\{|\{vault:`)

// explain returns what to write, for a message of the parser and the text of its line. It doesn't return that text, which can have a
// secret.
func explain(message, text string) string {
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	brackets := strings.Contains(message, "',' or")
	switch {
	case strings.Contains(indent, "\t"):
		return "the line is indented with a tab: use spaces"
	case brackets && placeholder.MatchString(text):
		return "inside [ ] and { } a ${...} needs quotes around it: \"${env:NAME}\""
	case brackets:
		return "a [ or { isn't closed, or a comma is missing: close it, or put the value in quotes"
	case strings.HasPrefix(message, "mapping values are not allowed"):
		return "a second \": \" on the line, or wrong indentation: put the value in quotes, or indent it as its neighbours"
	case strings.HasPrefix(message, "did not find expected key"), strings.HasPrefix(message, "did not find expected '-'"):
		return "the indentation is wrong: keys of one mapping, and items of one list, begin in the same column"
	case strings.HasPrefix(message, "found character that cannot start"):
		return "a value can't begin with this character (@ ` % or a tab): put it in quotes"
	case strings.HasPrefix(message, "could not find expected ':'"):
		return "a colon is missing: write key: value"
	case strings.HasPrefix(message, "found unexpected end of stream"):
		return "a quote isn't closed: add it at the end of the value"
	case strings.HasPrefix(message, "did not find expected node content"):
		return "a value is missing; one that begins with : , ] or } must be in quotes, as in \"::1\""
	case strings.HasPrefix(message, "unknown anchor"), strings.HasPrefix(message, "did not find expected alphabetic or numeric"):
		return "a value that begins with * or & must be in quotes, as in \"*.example.com\""
	}
	return "it isn't valid YAML: " + message
}
