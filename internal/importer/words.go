package importer

import (
	"fmt"
	"strings"

	"sallyport/internal/strict"
)

// A word is a word of a command line or of a line of Apache's configuration.
type word struct {
	text  string
	place strict.Mark
}

// shellWords splits a file into words as a shell does: at spaces and ends of lines, with quotes, \ and comments. Nothing is expanded.
func shellWords(s Source) ([]word, error) {
	r := &wordReader{text: string(s.Data), place: strict.Mark{File: s.Name, Line: 1}}
	for !r.atEnd() {
		r.space()
		if r.atEnd() {
			break
		}
		if err := r.word(); err != nil {
			return nil, err
		}
	}
	return r.words, nil
}

// CommandLine returns words of a command line as a source, which shellWords reads.
func CommandLine(words []string) Source {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`")
	var text strings.Builder
	for _, w := range words {
		text.WriteString(`"` + quote.Replace(w) + "\"\n")
	}
	return Source{Name: "command line", Data: []byte(text.String())}
}

// A wordReader reads the words of a text.
type wordReader struct {
	text  string
	place strict.Mark
	words []word
}

func (r *wordReader) atEnd() bool { return r.text == "" }

// next returns the next byte and counts lines.
func (r *wordReader) next() byte {
	c := r.text[0]
	r.text = r.text[1:]
	if c == '\n' {
		r.place.Line++
	}
	return c
}

// space skips spaces, comments, and \ at the end of a line.
func (r *wordReader) space() {
	for !r.atEnd() {
		switch {
		case strings.HasPrefix(r.text, "\\\n"):
			r.next()
		case strings.HasPrefix(r.text, "\\\r\n"):
			r.next()
		case r.text[0] == '#':
			r.comment()
			continue
		case !isSpace(r.text[0]):
			return
		}
		r.next()
	}
}

func (r *wordReader) comment() {
	for !r.atEnd() && r.text[0] != '\n' {
		r.next()
	}
}

// word reads a word with its quotes.
func (r *wordReader) word() error {
	var text strings.Builder
	place := r.place
	for !r.atEnd() && !isSpace(r.text[0]) {
		switch c := r.next(); c {
		case '"', '\'':
			if err := r.quoted(c, &text, place); err != nil {
				return err
			}
		case '\\':
			if !r.atEnd() {
				if c := r.next(); c != '\n' {
					text.WriteByte(c)
				}
			}
		default:
			text.WriteByte(c)
		}
	}
	r.words = append(r.words, word{text.String(), place})
	return nil
}

// quoted reads up to the closing quote.
func (r *wordReader) quoted(quote byte, text *strings.Builder, place strict.Mark) error {
	for !r.atEnd() {
		c := r.next()
		switch {
		case c == quote:
			return nil
		case c == '\\' && quote == '"' && !r.atEnd() && strings.IndexByte(`"\$`+"`", r.text[0]) >= 0:
			c = r.next()
		}
		text.WriteByte(c)
	}
	return fmt.Errorf("%s: a %c isn't closed: expected a second one", place, quote)
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
