package importer

import (
	"fmt"
	"regexp"
	"strings"

	"sallyport/internal/strict"
)

// An apacheNode is a directive of Apache's configuration, or a section with what is in it.
type apacheNode struct {
	name     string // as written; a section's without < and >
	args     []string
	raw      string // the arguments as they are written
	children []*apacheNode
	section  bool
	place    strict.Mark
}

// is reports whether a directive has one of some names. Case makes no difference.
func (n *apacheNode) is(names ...string) bool {
	for _, name := range names {
		if strings.EqualFold(n.name, name) {
			return true
		}
	}
	return false
}

// arg returns an argument, or "".
func (n *apacheNode) arg(i int) string {
	if i < len(n.args) {
		return n.args[i]
	}
	return ""
}

// An apacheParser reads files of Apache. Names that Define sets are replaced in what follows.
type apacheParser struct {
	file    string
	lines   []string
	line    int // of the next line, from 0
	defines map[string]string
}

// parseApache reads a file of Apache.
func parseApache(s Source, defines map[string]string) ([]*apacheNode, error) {
	p := &apacheParser{file: s.Name, lines: strings.Split(string(s.Data), "\n"), defines: defines}
	nodes, end, err := p.nodes("", 0)
	if err == nil && end != nil {
		err = fmt.Errorf("%s: </%s> closes no section", end.place, end.name)
	}
	return nodes, err
}

// nodes reads directives up to the end of a section, which it returns, or of the file.
func (p *apacheParser) nodes(section string, depth int) (all []*apacheNode, end *apacheNode, err error) {
	for p.line < len(p.lines) {
		n, err := p.next()
		switch {
		case err != nil:
			return nil, nil, err
		case n == nil:
			continue
		case n.section && strings.HasPrefix(n.name, "/"):
			n.name = n.name[1:]
			if section != "" && !n.is(section) {
				return nil, nil, fmt.Errorf("%s: </%s> stands where </%s> is expected", n.place, n.name, section)
			}
			return all, n, nil
		case n.section:
			if err := p.section(n, depth); err != nil {
				return nil, nil, err
			}
		case n.is("Define"):
			p.defines[n.arg(0)] = n.arg(1)
		}
		all = append(all, n)
	}
	return all, nil, nil
}

// section reads what is in a section.
func (p *apacheParser) section(n *apacheNode, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: sections are nested deeper than %d", n.place, maxDepth)
	}
	children, end, err := p.nodes(n.name, depth+1)
	if err != nil {
		return err
	}
	if end == nil {
		return fmt.Errorf("%s: <%s> isn't closed: expected </%s>", n.place, n.name, n.name)
	}
	n.children = children
	return nil
}

// next reads a line with its continuations. It returns nil for an empty one and a comment.
func (p *apacheParser) next() (*apacheNode, error) {
	place := strict.Mark{File: p.file, Line: p.line + 1}
	text := strings.TrimSpace(p.logicalLine())
	if text == "" || text[0] == '#' {
		return nil, nil
	}
	text = p.expand(text)
	n := &apacheNode{place: place}
	if text[0] == '<' {
		if !strings.HasSuffix(text, ">") {
			return nil, fmt.Errorf("%s: a section without > at the end of its line", place)
		}
		n.section, text = true, strings.TrimSpace(text[1:len(text)-1])
	}
	name, rest, _ := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
	n.name, n.raw = name, strings.TrimSpace(rest)
	var err error
	n.args, err = apacheWords(n.raw, place)
	return n, err
}

// logicalLine returns a line, with the lines behind it as long as one ends with \.
func (p *apacheParser) logicalLine() string {
	var text strings.Builder
	for p.line < len(p.lines) {
		line := strings.TrimSuffix(p.lines[p.line], "\r")
		p.line++
		before, more := strings.CutSuffix(line, `\`)
		text.WriteString(before)
		if !more {
			break
		}
	}
	return text.String()
}

var apacheVariable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand replaces ${NAME}. A name that no Define sets is one of the environment, which stays.
func (p *apacheParser) expand(text string) string {
	return apacheVariable.ReplaceAllStringFunc(text, func(reference string) string {
		if value, ok := p.defines[reference[2:len(reference)-1]]; ok {
			return value
		}
		return reference
	})
}

// apacheWords splits arguments at spaces. Quotes keep a text together; \ escapes a quote in it.
func apacheWords(text string, place strict.Mark) (words []string, err error) {
	for text = strings.TrimLeft(text, " \t"); text != ""; text = strings.TrimLeft(text, " \t") {
		var w string
		if text[0] == '"' || text[0] == '\'' {
			if w, text, err = quotedWord(text, place); err != nil {
				return nil, err
			}
		} else if i := strings.IndexAny(text, " \t"); i < 0 {
			w, text = text, ""
		} else {
			w, text = text[:i], text[i:]
		}
		words = append(words, w)
	}
	return words, nil
}

// quotedWord returns the word in quotes at the beginning of a text, and what follows.
func quotedWord(text string, place strict.Mark) (w, rest string, err error) {
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == text[0]:
			return out.String(), text[i+1:], nil
		case c == '\\' && i+1 < len(text) && (text[i+1] == text[0] || text[i+1] == '\\'):
			i++
			out.WriteByte(text[i])
		default:
			out.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("%s: a %c isn't closed: expected a second one", place, text[0])
}
