package cmdline

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// awkward is a program whose texts have what shells and roff give a meaning to.
var awkward = &Program{
	Name: "tool", Summary: `it's a "tool" \ with [brackets]`, Notes: []string{".not a request", "'nor this: $HOME `date` %s"},
	Commands: []Command{
		{Name: "one", Arguments: "[-f FILE]", Summary: `it's "quoted": $HOME`, Values: []string{"a", "b_c"}, Files: true, Flags: []Flag{
			{Name: "f", Value: "FILE", Usage: `a 'file' [or: "two"] \ $HOME`}, {Name: "n", Value: "NAME: VALUE", Usage: "it's: a `name`"},
			{Name: "x", Usage: "no [value]"},
		}},
		{Name: "two first", Summary: ".begins with a dot"},
		{Name: "two second", Summary: "'begins with a quote"},
	},
}

// TestAwkward lets the shells and mandoc read texts with quotes, brackets, colons, backslashes and dollars.
func TestAwkward(t *testing.T) {
	man := func(w io.Writer) error {
		return awkward.WriteMan(w, ManPage{Version: "v1", Date: "2026-01-02", Description: []string{".a dot"},
			Sections: []Section{{Title: "files", Terms: [][2]string{{`'a\b`, ".c"}}}}})
	}
	for name, c := range map[string]struct {
		write func(io.Writer) error
		read  []string
	}{
		"bash": {awkward.WriteBash, []string{"bash", "-n"}}, "zsh": {awkward.WriteZsh, []string{"zsh", "-n"}},
		"fish": {awkward.WriteFish, []string{"fish", "--no-execute", "/dev/stdin"}},
		"man":  {man, []string{"mandoc", "-T", "lint", "-W", "style"}},
	} {
		var b bytes.Buffer
		if err := c.write(&b); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		cmd := exec.Command(c.read[0], c.read[1:]...)
		cmd.Stdin = &b
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s\n%s", name, err, out, text)
		}
	}
}

// TestUsage checks the layout of the usage text: a summary stands beside a short command, and below a long one.
func TestUsage(t *testing.T) {
	var b strings.Builder
	p := Program{Name: "tool", Notes: []string{"A note."}, Commands: []Command{
		{Name: "one", Summary: strings.Repeat("word ", 25)},
		{Name: "two", Arguments: "[-a-very-long-flag VALUE]", Summary: "below"},
	}}
	p.WriteUsage(&b)
	want := "usage:\n" +
		"  tool one                     " + strings.TrimSpace(strings.Repeat("word ", 20)) + "\n" +
		strings.Repeat(" ", 31) + "word word word word word\n" +
		"  tool two [-a-very-long-flag VALUE]\n" + strings.Repeat(" ", 31) + "below\n" +
		"\nA note.\n"
	if b.String() != want {
		t.Errorf("got\n%s\nexpected\n%s", b.String(), want)
	}
}
