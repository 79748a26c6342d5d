package cmdline

import (
	"fmt"
	"io"
	"strings"
)

// fishIs is a function of fish: whether the words before the cursor begin with the program and these words, and whether there are no
// others if the first argument is -n.
const fishIs = `# fish completion for %[1]s; written by %[1]s completion fish
function __%[1]s_is
	set -l only
	if test "$argv[1]" = -n
		set only yes
		set -e argv[1]
	end
	set -l tokens (commandline -opc)
	set -e tokens[1]
	test (count $tokens) -ge (count $argv); or return 1
	if test -n "$only"; and test (count $tokens) -ne (count $argv)
		return 1
	end
	for i in (seq (count $argv))
		test "$tokens[$i]" = "$argv[$i]"; or return 1
	end
end
complete -c %[1]s -f
`

// WriteFish writes the completion for fish.
func (p *Program) WriteFish(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, fishIs, p.Name)
	for _, word := range p.words() {
		p.fishLine(&b, "-n", "-a "+word.name+" -d "+quote(word.summary))
	}
	for _, g := range p.Groups() {
		p.fishLine(&b, "-n "+g.Name, "-a "+quote(strings.Join(g.Members, " ")))
	}
	for _, c := range p.Commands {
		p.fishCommand(&b, &c)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fishCommand writes the lines for the arguments of a command.
func (p *Program) fishCommand(b *strings.Builder, c *Command) {
	if c.Values != nil {
		p.fishLine(b, "-n "+c.Name, "-a "+quote(strings.Join(c.Values, " ")))
	}
	if c.Files {
		p.fishLine(b, c.Name, "-F")
	}
	for _, f := range c.Flags {
		option := "-o " + f.Name + " -d " + quote(f.Usage)
		switch {
		case f.File():
			option += " -r -F"
		case f.Value != "":
			option += " -x"
		}
		p.fishLine(b, c.Name, option)
	}
}

// fishLine writes what fish offers if __PROGRAM_is is true.
func (p *Program) fishLine(b *strings.Builder, is, offer string) {
	fmt.Fprintf(b, "complete -c %[1]s -n '__%[1]s_is %[2]s' %[3]s\n", p.Name, is, offer)
}
