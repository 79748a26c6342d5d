// Command release builds what a release consists of: archives, deb and rpm packages, SBOMs and checksums. The same sources and the same Go
// version give the same bytes, on any machine and in any folder.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

func main() {
	source := flag.String("C", ".", "the `DIR` of the repository")
	out := flag.String("o", "dist", "the `DIR` for the files; it is replaced")
	only := flag.String("targets", "", "the `OS/ARCH` pairs to build for, separated by commas; default: all of a release")
	flag.Parse()
	chosen, err := parseTargets(*only)
	if err == nil {
		err = run(*source, *out, chosen)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run builds a release of the commit that is checked out in a repository.
func run(source, out string, targets []Target) error {
	stamp, err := stampOf(source)
	if err != nil {
		return err
	}
	return build(Release{Source: source, Out: out, Stamp: stamp, Targets: targets})
}

// parseTargets parses the flag -targets.
func parseTargets(text string) (chosen []Target, err error) {
	if text == "" {
		return targets, nil
	}
	for pair := range strings.SplitSeq(text, ",") {
		os, arch, _ := strings.Cut(pair, "/")
		if !slices.Contains(targets, Target{os, arch}) {
			return nil, fmt.Errorf("-targets: expected pairs of %v, got %q", targets, pair)
		}
		chosen = append(chosen, Target{os, arch})
	}
	return chosen, nil
}
