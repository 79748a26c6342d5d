package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// chartFolder is the folder of the Helm chart in the repository.
const chartFolder = "deploy/helm/sallyport"

// ChartVersion returns the version of the Helm chart, which must be one of Semantic Versioning 2.0.0.
func (s *Stamp) ChartVersion() string { return strings.Replace(s.PackageVersion(), "~", "-", 1) }

// chart writes the Helm chart as helm package does. Its version is that of the release, and so is the default of image.tag.
func (r *Release) chart() error {
	members, err := filesBelow(filepath.Join(r.Source, chartFolder), "")
	if err != nil {
		return err
	}
	for n := range members {
		if members[n].name != "Chart.yaml" {
			continue
		}
		if members[n].from, err = r.stampChart(members[n].from); err != nil {
			return err
		}
	}
	return writeArchive(r.path("sallyport-"+r.Stamp.ChartVersion()+".tgz"), "sallyport", r.Stamp.Time, members)
}

var chartVersions = regexp.MustCompile(`(?m)^(version|appVersion): .*$`)

// stampChart writes a Chart.yaml with the release's versions, and returns the name of that file.
func (r *Release) stampChart(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	version := map[string]string{"version": r.Stamp.ChartVersion(), "appVersion": r.Stamp.FileVersion()}
	stamped := chartVersions.ReplaceAllStringFunc(string(text), func(line string) string {
		key, _, _ := strings.Cut(line, ":")
		return fmt.Sprintf("%s: %q", key, version[key])
	})
	name := filepath.Join(r.scratch, "Chart.yaml")
	return name, os.WriteFile(name, []byte(stamped), 0o644)
}
