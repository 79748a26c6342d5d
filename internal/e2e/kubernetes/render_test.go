package kubernetes

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

var comments = regexp.MustCompile(`(?m)^#.*$`)

// release and namespace are those of all rendered releases.
const (
	release   = "gate"
	namespace = "sallyport"
)

// chart returns the folder of the Helm chart.
func chart() string { return filepath.Join(root, "deploy/helm/sallyport") }

// forwardAuthOf returns the kind of proxy that asks at the listener of values, or "".
func forwardAuthOf(text string) string {
	if m := regexp.MustCompile(`forward_auth: ([a-z_0-9]+)`).FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// snippetKeys has the values that the output of sallyport snippet sets, by the kind of proxy.
var snippetKeys = map[string]string{"traefik": "traefik.snippet", "envoy_grpc": "gateway.extAuth.snippet"}

// mustRender renders the chart with the values of a file in testdata, and with more arguments.
func mustRender(t *testing.T, values string, more ...string) *objects {
	t.Helper()
	file := filepath.Join("testdata", values+".yaml")
	args := append([]string{"template", release, chart(), "-n", namespace, "-f", file}, more...)
	if key := snippetKeys[forwardAuthOf(mustRead(t, file))]; key != "" && len(more) == 0 {
		first := mustDecode(t, values, mustOutput(t, helm, append(args, "--set", "traefik.enabled=false")...))
		snippet := mustWrite(t, filepath.Join(t.TempDir(), "snippet.yaml"), mustSnippet(t, first))
		args = append(args, "--set-file", key+"="+snippet)
	}
	return mustDecode(t, values, mustOutput(t, helm, args...))
}

// mustRenderText renders the chart with values.
func mustRenderText(t *testing.T, values string) *objects {
	t.Helper()
	file := mustWrite(t, filepath.Join(t.TempDir(), "values.yaml"), values)
	return mustDecode(t, "rendered", mustOutput(t, helm, "template", release, chart(), "-n", namespace, "-f", file))
}

// rendered is what everything returns. No test changes it.
var rendered struct {
	sync.Mutex
	all []*objects
}

// everything returns each variant of the chart, and each folder of manifests.
func everything(t *testing.T) []*objects {
	t.Helper()
	rendered.Lock()
	defer rendered.Unlock()
	if rendered.all == nil {
		rendered.all = append(variants(t), folders(t)...)
	}
	return rendered.all
}

// variants returns the chart with the values of each file in testdata.
func variants(t *testing.T) (all []*objects) {
	t.Helper()
	variants, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(variants) < 8 {
		t.Fatalf("%d variants, %v", len(variants), err)
	}
	for _, file := range variants {
		all = append(all, mustRender(t, strings.TrimSuffix(filepath.Base(file), ".yaml")))
	}
	return all
}

// folders returns the folders of manifests.
func folders(t *testing.T) (all []*objects) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(root, "deploy/kubernetes/*"))
	if err != nil || len(folders) < 3 {
		t.Fatalf("%d folders, %v", len(folders), err)
	}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, file := range files {
			if filepath.Base(file) != "kustomization.yaml" {
				text.WriteString("---\n" + mustRead(t, file))
			}
		}
		all = append(all, mustDecode(t, filepath.Base(folder), text.String()))
	}
	return all
}

// TestLint runs helm lint with the values of each variant, and with those of the chart alone, which must be refused.
func TestLint(t *testing.T) {
	t.Parallel()
	variants, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range variants {
		if strings.HasSuffix(file, "traefik.yaml") { // it needs the snippet
			continue
		}
		if out, err := output(t, helm, "lint", "--strict", chart(), "-f", file); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	if out, err := output(t, helm, "template", chart()); err == nil || !strings.Contains(err.Error(), "config is missing") {
		t.Errorf("without values: %v\n%s", err, out)
	}
}

// TestKustomization checks that each kustomization.yaml has all files of its folder.
func TestKustomization(t *testing.T) {
	t.Parallel()
	folders, _ := filepath.Glob(filepath.Join(root, "deploy/kubernetes/*"))
	for _, folder := range folders {
		text := mustRead(t, filepath.Join(folder, "kustomization.yaml"))
		files, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		var list struct{ Resources []string }
		if err := yaml.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.Name() != "kustomization.yaml" && !slices.Contains(list.Resources, f.Name()) {
				t.Errorf("%s: kustomization.yaml doesn't have %s", folder, f.Name())
			}
		}
		if len(list.Resources) != len(files)-1 {
			t.Errorf("%s: kustomization.yaml has %d files of %d", folder, len(list.Resources), len(files)-1)
		}
	}
}

// TestValidate validates all objects against the schemas of the oldest and the newest version of Kubernetes.
func TestValidate(t *testing.T) {
	t.Setenv("PYTHONPATH", filepath.Join(root, ".cache/kubernetes-validate"))
	var files []string
	for _, o := range everything(t) {
		files = append(files, mustWrite(t, filepath.Join(t.TempDir(), o.name+".yaml"), o.yaml))
	}
	wrong := mustWrite(t, filepath.Join(t.TempDir(), "wrong.yaml"),
		"apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{prot: 1}]}\n")
	for _, version := range []string{"1.30.0", "1.37.0"} {
		args := []string{"-m", "kubernetes_validate", "--strict", "--no-warn", "-k", version}
		if out, err := output(t, "python3", append(args, files...)...); err != nil {
			t.Errorf("Kubernetes %s: %v\n%s", version, err, out)
		}
		if out, err := output(t, "python3", append(args, wrong)...); err == nil {
			t.Errorf("Kubernetes %s: a wrong Service is valid:\n%s", version, out)
		}
	}
}
