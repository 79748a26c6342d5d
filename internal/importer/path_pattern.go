package importer

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// A pathPattern says which paths a regular expression matches, as far as prefixes can say it.
type pathPattern struct {
	prefix string // what each of the paths begins with
	kind   patternKind
}

type patternKind int

const (
	otherPattern   patternKind = iota // more than a prefix says
	exactPattern                      // the path alone
	textPattern                       // every path that begins with the text: /a is /a, /a/b and /ab
	segmentPattern                    // a prefix of whole segments: /a is /a and /a/b
)

// readPattern reads a regular expression for paths. What it returns describes exactly the paths that the expression matches, except for
// otherPattern, where prefix is only what all of them begin with; it is "" if they begin with nothing common.
func readPattern(text string) (pathPattern, error) {
	if _, err := regexp.Compile(text); err != nil {
		return pathPattern{}, err
	}
	if before, ok := cutSegmentEnd(text); ok {
		if p := literalPattern(before); p.kind == textPattern && p.prefix != "" && !strings.HasSuffix(p.prefix, "/") {
			return pathPattern{p.prefix, segmentPattern}, nil
		}
	}
	return literalPattern(text), nil
}

// cutSegmentEnd removes the end of a pattern that means: nothing more, or a slash and anything.
func cutSegmentEnd(text string) (string, bool) {
	for _, end := range []string{"(/|$)", "($|/)", "(?:/|$)", "(?:$|/)", "(/.*)?$", "(?:/.*)?$", "(/.*|$)", "(/|$).*", "($|/.*)", "(/.*)*$"} {
		if before, ok := strings.CutSuffix(text, end); ok {
			return before, true
		}
	}
	return text, false
}

// literalPattern reads ^TEXT, ^TEXT$, ^TEXT.* and ^TEXT.*$.
func literalPattern(text string) pathPattern {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return pathPattern{}
	}
	parts := flattened(re.Simplify())
	if len(parts) == 0 || parts[0].Op != syntax.OpBeginText && parts[0].Op != syntax.OpBeginLine {
		return pathPattern{}
	}
	prefix, rest := literalPrefix(parts[1:])
	switch {
	case len(rest) == 0, anything(rest):
		return pathPattern{prefix, textPattern}
	case len(rest) == 1 && rest[0].Op == syntax.OpEndText:
		return pathPattern{prefix, exactPattern}
	}
	return pathPattern{prefix, otherPattern}
}

// flattened returns the parts of a concatenation, without captures around them.
func flattened(re *syntax.Regexp) (parts []*syntax.Regexp) {
	switch re.Op {
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			parts = append(parts, flattened(sub)...)
		}
		return parts
	case syntax.OpCapture:
		return flattened(re.Sub[0])
	case syntax.OpEmptyMatch:
		return nil
	}
	return []*syntax.Regexp{re}
}

// literalPrefix returns the text with which a concatenation begins, and the parts behind it.
func literalPrefix(parts []*syntax.Regexp) (string, []*syntax.Regexp) {
	var text strings.Builder
	for i, p := range parts {
		if p.Op != syntax.OpLiteral || p.Flags&syntax.FoldCase != 0 {
			return text.String(), parts[i:]
		}
		text.WriteString(string(p.Rune))
	}
	return text.String(), nil
}

// anything reports whether parts match any text: .* with or without an end. A path has no newline.
func anything(parts []*syntax.Regexp) bool {
	if len(parts) == 2 && parts[1].Op == syntax.OpEndText {
		parts = parts[:1]
	}
	return len(parts) == 1 && parts[0].Op == syntax.OpStar &&
		(parts[0].Sub[0].Op == syntax.OpAnyCharNotNL || parts[0].Sub[0].Op == syntax.OpAnyChar)
}

// coveringPath returns the longest prefix of whole segments below which every path is that begins with a text: a text may end within a
// segment, so it is cut at its last slash.
func coveringPath(prefix string) string {
	i := strings.LastIndexByte(prefix, '/')
	if i <= 0 {
		return "/"
	}
	return prefix[:i]
}

// plainPath reports whether a text can be a path of a rule: it begins with a slash, and has nothing that the gate refuses or reads
// otherwise.
func plainPath(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "%\\;?#*{}|^$[]<>\"` \x00") || strings.Contains(path, "//") {
		return false
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if segment == "." || segment == ".." || strings.HasPrefix(segment, ":") {
			return false
		}
	}
	for _, r := range path {
		if r < 0x21 || r > 0x7e {
			return false
		}
	}
	return true
}

// within reports whether a path is a prefix of whole segments of another: everything below it is below the prefix.
func within(path, prefix string) bool {
	return prefix == "/" || path == prefix || strings.HasPrefix(path, prefix+"/")
}
