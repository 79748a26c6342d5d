package cmdline

import (
	"fmt"
	"io"
	"strings"
)

const (
	textColumn = 31  // where the usage text's second column begins
	textWidth  = 130 // the longest line of the usage text
)

// WriteUsage writes the usage text: a paragraph for each command, and the notes.
func (p *Program) WriteUsage(w io.Writer) {
	fmt.Fprintln(w, "usage:")
	for _, c := range p.Commands {
		left := fmt.Sprintf("  %s %s", p.Name, c.Synopsis())
		lines := wrap(c.Summary, textWidth-textColumn)
		if len(left) >= textColumn {
			fmt.Fprintln(w, left)
			left = ""
		}
		for _, line := range lines {
			fmt.Fprintf(w, "%-*s%s\n", textColumn, left, line)
			left = ""
		}
	}
	for _, note := range p.Notes {
		fmt.Fprintf(w, "\n%s\n", strings.Join(wrap(note, textWidth), "\n"))
	}
}

// Synopsis returns the command with its arguments.
func (c *Command) Synopsis() string { return strings.TrimSpace(c.Name + " " + c.Arguments) }

// wrap breaks a text into lines of at most width bytes, unless a word is longer.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
