package cmdline

import (
	"fmt"
	"io"
	"strings"
)

// WriteZsh writes the completion for zsh. It is a file of fpath, and may be sourced after compinit.
func (p *Program) WriteZsh(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %[1]s\n# written by %[1]s completion zsh\n_%[1]s() {\n", p.Name)
	fmt.Fprintf(&b, "\tlocal -a commands\n\tlocal command=$words[2]\n\tif (( CURRENT == 2 )); then\n\t\tcommands=(%s)\n", p.zshWords())
	b.WriteString("\t\t_describe command commands\n\t\treturn\n\tfi\n\tcase $command in\n")
	for _, g := range p.Groups() {
		fmt.Fprintf(&b, "\t%s)\n\t\tif (( CURRENT == 3 )); then\n\t\t\tcommands=(%s)\n", g.Name, strings.Join(g.Members, " "))
		b.WriteString("\t\t\t_describe command commands\n\t\t\treturn\n\t\tfi\n" +
			"\t\tcommand+=\" $words[3]\"\n\t\tshift words\n\t\t(( CURRENT-- ))\n\t\t;;\n")
	}
	b.WriteString("\tesac\n\tshift words\n\t(( CURRENT-- ))\n\tcase $command in\n")
	for _, c := range p.Commands {
		fmt.Fprintf(&b, "\t'%s') _arguments%s ;;\n", c.Name, c.zshArguments())
	}
	fmt.Fprintf(&b, "\tesac\n}\nif [ \"$funcstack[1]\" = _%[1]s ]; then\n\t_%[1]s \"$@\"\nelse\n\tcompdef _%[1]s %[1]s\nfi\n", p.Name)
	_, err := io.WriteString(w, b.String())
	return err
}

// zshWords returns the first words of the commands and what they do, as elements of an array.
func (p *Program) zshWords() string {
	var words []string
	for _, w := range p.words() {
		words = append(words, quote(w.name+":"+strings.ReplaceAll(w.summary, ":", `\:`)))
	}
	return strings.Join(words, " ")
}

// zshArguments returns the specifications of the arguments for _arguments.
func (c *Command) zshArguments() string {
	var b strings.Builder
	for _, f := range c.Flags {
		spec := "*-" + f.Name + "[" + zshEscape.Replace(f.Usage) + "]"
		switch {
		case f.File():
			spec += ":" + f.Value + ":_files"
		case f.Value != "":
			spec += ":" + zshEscape.Replace(f.Value) + ": "
		}
		b.WriteString(" " + quote(spec))
	}
	if c.Values != nil {
		b.WriteString(" " + quote("1:argument:("+strings.Join(c.Values, " ")+")"))
	}
	if c.Files {
		b.WriteString(" '*:file:_files'")
	}
	return b.String()
}

// zshEscape escapes what has a meaning in a specification.
var zshEscape = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`)

// quote quotes a word for zsh and fish, which agree if the word has no backslash before a quote.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
