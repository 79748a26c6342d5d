package main

import (
	"regexp"
	"slices"
	"testing"
)

// TestArguments checks that the usage text shows all flags of each command, and no others. -config is the long name of -c.
func TestArguments(t *testing.T) {
	for _, c := range program().Commands {
		var declared []string
		for _, f := range c.Flags {
			if f.Name != "config" {
				declared = append(declared, "-"+f.Name)
			}
		}
		shown := regexp.MustCompile(`\B-[a-z-]+\b`).FindAllString(c.Arguments, -1)
		slices.Sort(shown)
		slices.Sort(declared)
		if shown = slices.Compact(shown); !slices.Equal(shown, declared) {
			t.Errorf("%s: its arguments show the flags %q, expected %q", c.Name, shown, declared)
		}
	}
}
