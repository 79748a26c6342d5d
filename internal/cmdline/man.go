package cmdline

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A ManPage is what a man page says besides the commands.
type ManPage struct {
	Version     string
	Date        string // YYYY-MM-DD
	Description []string
	Sections    []Section // after the commands
}

// A Section is a section of a man page: paragraphs, and a list of terms.
type Section struct {
	Title      string
	Paragraphs []string
	Terms      [][2]string // a term, and what it means
}

// WriteMan writes the man page of the program, in the macros of man(7).
func (p *Program) WriteMan(w io.Writer, page ManPage) error {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 %s \"%s %s\"\n.nh\n", strings.ToUpper(p.Name), page.Date, p.Name, roff(page.Version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", p.Name, roff(p.Summary))
	fmt.Fprintf(&b, ".B %s\n.I COMMAND\n[ARGUMENTS]\n.SH DESCRIPTION\n", p.Name)
	paragraphs(&b, slices.Concat(page.Description, p.Notes))
	b.WriteString(".SH COMMANDS\n")
	for _, c := range p.Commands {
		c.writeMan(&b)
	}
	for _, s := range page.Sections {
		s.writeMan(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeMan writes a command with its flags.
func (c *Command) writeMan(b *strings.Builder) {
	term(b, c.Synopsis(), upperFirst(c.Summary)+".")
	if len(c.Flags) == 0 {
		return
	}
	b.WriteString(".RS\n")
	for i, names := 0, ""; i < len(c.Flags); i++ {
		f := c.Flags[i]
		names += strings.TrimSpace("-" + f.Name + " " + f.Value)
		if i+1 < len(c.Flags) && c.Flags[i+1].Usage == f.Usage { // another name of the same flag
			names += ", "
			continue
		}
		term(b, names, upperFirst(f.Usage)+".")
		names = ""
	}
	b.WriteString(".RE\n")
}

// writeMan writes the section.
func (s *Section) writeMan(b *strings.Builder) {
	fmt.Fprintf(b, ".SH %s\n", roff(strings.ToUpper(s.Title)))
	paragraphs(b, s.Paragraphs)
	for _, t := range s.Terms {
		term(b, t[0], t[1])
	}
}

// term writes a term and what it means.
func term(b *strings.Builder, name, means string) {
	fmt.Fprintf(b, ".TP\n.B %s\n", roff(name))
	paragraphs(b, []string{means})
}

// paragraphs writes paragraphs; .PP stands between them.
func paragraphs(b *strings.Builder, all []string) {
	for i, p := range all {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		for _, line := range wrap(p, manWidth) {
			b.WriteString(roff(line) + "\n")
		}
	}
}

// manWidth is the longest line of the man page's source before characters are escaped.
const manWidth = 70

// roff escapes a line: backslashes, dashes (a hyphen can't be copied into a shell), and what would be a request at its beginning.
func roff(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, `"`, `\(dq`).Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}

// upperFirst returns a sentence that begins with a capital letter.
func upperFirst(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
