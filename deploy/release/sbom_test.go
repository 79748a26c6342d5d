package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// TestSBOM compares the SBOM of each archive with what go version -m reads from its binary.
func TestSBOM(t *testing.T) {
	b := mustBuild(t)
	for _, target := range testTargets() {
		r := Release{Stamp: Stamp{Version: "v1.2.3"}}
		folder := t.TempDir()
		mustRun(t, folder, "tar", "--strip-components=1", "-xzf", filepath.Join(b.dist, r.base(target)+".tar.gz"))
		content := mustRead(t, filepath.Join(b.dist, r.base(target)+".cdx.json"))
		var bom cdx.BOM
		if err := cdx.NewBOMDecoder(bytes.NewReader(content), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
			t.Fatal(err)
		}
		got, want := components(&bom), modules(mustRun(t, folder, "go", "version", "-m", "sallyport"))
		if len(want) < 20 || !slices.Equal(got, want) {
			t.Errorf("%v: the SBOM has\n%s\nexpected\n%s", target, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		sum, _, _ := strings.Cut(mustRun(t, folder, "sha256sum", "sallyport"), " ")
		if hash := (*bom.Metadata.Component.Hashes)[0].Value; hash != sum {
			t.Errorf("%v: the SBOM has the hash %s, the binary %s", target, hash, sum)
		}
		if bom.SpecVersion != cdx.SpecVersion1_6 || bom.Metadata.Timestamp != "2026-01-02T03:04:05Z" {
			t.Errorf("%v: version %v, time %s", target, bom.SpecVersion, bom.Metadata.Timestamp)
		}
	}
}

// components returns the components of an SBOM as "name version".
func components(bom *cdx.BOM) (all []string) {
	for _, c := range *bom.Components {
		if c.PackageURL != "pkg:golang/"+c.Name+"@"+strings.ReplaceAll(c.Version, "+", "%2B") {
			all = append(all, "wrong purl "+c.PackageURL)
		}
		all = append(all, c.Name+" "+c.Version)
	}
	slices.Sort(all)
	return all
}

// modules returns the modules that go version -m lists as "name version", and Go itself.
func modules(output string) (all []string) {
	for line := range strings.Lines(output) {
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "sallyport: go"):
			all = append(all, "std "+strings.TrimPrefix(f[1], "go"))
		case f[0] == "dep":
			all = append(all, f[1]+" "+f[2])
		}
	}
	slices.Sort(all)
	return all
}
