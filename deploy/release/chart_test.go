package main

import (
	"path/filepath"
	"testing"
	"time"
)

// TestChart renders the chart of a release with helm: its image has the version of the release.
func TestChart(t *testing.T) {
	b := mustBuild(t)
	helm, err := filepath.Abs("../../.cache/bin/helm")
	if err != nil {
		t.Fatal(err)
	}
	chart := filepath.Join(b.dist, "sallyport-1.2.3.tgz")
	values := filepath.Join(b.source, "internal/e2e/kubernetes/testdata/edge.yaml")
	rendered := mustRun(t, b.source, helm, "template", "app", chart, "-f", values, "--set", "image.tag=")
	mustContain(t, "the rendered chart", rendered,
		"image: registry.example.com/sallyport:1.2.3\n", `app.kubernetes.io/version: "1.2.3"`, "helm.sh/chart: sallyport-1.2.3")
}

func TestChartVersion(t *testing.T) {
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for version, want := range map[string]string{
		"v1.2.3": "1.2.3", "v1.2.3-rc.1": "1.2.3-rc.1", "v1.2.3-4-gabcdef0": "1.2.3+4.gabcdef0", "abcdef0": "0.0.0-20261128120000.abcdef0",
	} {
		s := Stamp{Version: version, Commit: "abcdef0", Time: at}
		if got := s.ChartVersion(); got != want {
			t.Errorf("%s: got %s, expected %s", version, got, want)
		}
	}
}
