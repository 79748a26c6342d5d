// Package cmdline writes the texts about a program's commands: the usage text, the shells' completions and the man page. All of them
// come from one table of commands, so that they agree.
package cmdline

import (
	"flag"
	"strings"
)

// A Program is a program with commands.
type Program struct {
	Name     string
	Summary  string // one line, for the man page
	Commands []Command
	Notes    []string // paragraphs at the end of the usage text and in the man page
}

// A Command describes a command.
type Command struct {
	Name      string   // one word, or two if it is one of a group: "sessions list"
	Arguments string   // its arguments as the usage text shows them: "PROXY [-c FILE]"
	Summary   string   // what it does; no final period
	Values    []string // what the first argument may be, which stands before the flags; nil if the command has none
	Files     bool     // files may follow the flags
	Flags     []Flag   // sorted by name
}

// A Flag describes a flag of a command.
type Flag struct {
	Name  string // without the dash
	Value string // the placeholder of its value, such as FILE; "" if the flag takes none
	Usage string
}

// Flags returns the flags of a set.
func Flags(set *flag.FlagSet) (all []Flag) {
	set.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		all = append(all, Flag{Name: f.Name, Value: value, Usage: usage})
	})
	return all
}

// File reports whether the flag's value is the name of a file.
func (f *Flag) File() bool { return f.Value == "FILE" || f.Value == "DIR" }

// Group returns the second words of the commands that begin with a word, or nil if it is the whole name of a command or no name.
func (p *Program) Group(word string) (names []string) {
	for _, c := range p.Commands {
		if second, ok := strings.CutPrefix(c.Name, word+" "); ok {
			names = append(names, second)
		}
	}
	return names
}

// A word is the first word of commands, with what they do.
type word struct{ name, summary string }

// words returns the first words of the commands, in their order.
func (p *Program) words() (all []word) {
	seen := map[string]bool{}
	for _, c := range p.Commands {
		name, _, grouped := strings.Cut(c.Name, " ")
		summary := c.Summary
		if grouped {
			summary = strings.Join(p.Group(name), " or ") + " " + name
		}
		if !seen[name] {
			all = append(all, word{name, summary})
		}
		seen[name] = true
	}
	return all
}
