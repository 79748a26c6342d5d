package kubernetes

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestRefusals checks that the chart refuses values that contradict each other, and says what to write instead.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const elsewhere = "config: |\n  listen: "
	for values, expected := range map[string]string{
		"config: 'a: b: c'":                                            "config isn't YAML",
		"routes: {app.yaml: 'a: b: c'}":                                "routes.app.yaml isn't YAML",
		"routes: {a/b.yaml: ''}":                                       "does not match pattern",
		"secret: {a: b}\nexistingSecret: c":                            "secret and existingSecret exclude each other",
		"secret: {'a b': c}":                                           "does not match pattern",
		"image: {repository: ''}":                                      "image.repository is missing",
		"image: {digest: sha256:12}":                                   "does not match pattern",
		"ports: {http: 80}":                                            "minimum: got 80, want 1,024",
		"replica: 3":                                                   "additional properties 'replica' not allowed",
		elsewhere + "127.0.0.1:8000":                                   "config.listen: the pod has no port for 127.0.0.1:8000: write :8000",
		elsewhere + "[{address: ':8001'}]":                             "config.listen: the pod has no port for :8001: write :8000",
		"config: 'admin: {listen: \":9001\"}'":                         "config.admin.listen: the kubelet asks at port 9000: write :9000",
		"config: 'admin: {listen: off}'":                               "config.admin.listen: the kubelet asks at port 9000: write :9000",
		"autoscaling: {enabled: true, minReplicas: 4, maxReplicas: 3}": "autoscaling.minReplicas is greater than",
		"podDisruptionBudget: {maxUnavailable: 0}":                     "maxUnavailable",
		"ingress: {enabled: true}":                                     "ingress.hosts is empty",
		"gateway: {enabled: true, create: true}":                       "gateway.tlsSecret is missing",
		"gateway: {enabled: true, extAuth: {enabled: true}}":           "write listen: [{address: \":8000\", forward_auth: envoy_grpc}]",
		"traefik: {enabled: true}":                                     "write listen: [{address: \":8000\", forward_auth: traefik}]",
		"ingressNginx: {enabled: true}":                                "write listen: [{address: \":8000\", forward_auth: oauth2_proxy}]",
		"ingressNginx: {responseHeaders: [X-User]}":                    "does not match pattern",
		elsewhere + "{address: ':8000', forward_auth: traefik}\ntraefik: {enabled: true}": "networkPolicy.from is empty: name the pods",
		elsewhere + "{address: ':8000', forward_auth: {proxy: traefik}}\ntraefik: {enabled: true}\n" +
			"networkPolicy: {from: [{podSelector: {}}]}": "traefik.snippet is missing",
		elsewhere + "{address: ':8000', forward_auth: envoy_grpc}\ngateway: {enabled: true, extAuth: {enabled: true}}\n" +
			"networkPolicy: {from: [{podSelector: {}}]}": "gateway.extAuth.routes is empty",
	} {
		file := mustWrite(t, filepath.Join(t.TempDir(), "values.yaml"), values)
		base := mustWrite(t, filepath.Join(t.TempDir(), "base.yaml"), "image: {repository: r}\nconfig: 'route: {}'\n")
		if out, err := output(t, helm, "template", chart(), "-f", base, "-f", file); err == nil || !strings.Contains(err.Error(), expected) {
			t.Errorf("%s\nis answered %v\n%s\nexpected %q", values, err, out, expected)
		}
	}
}

// TestLiterals checks that the chart refuses each of the gate's secrets, those of a JWK among them, if it stands in config as it is, and
// takes it from a file.
func TestLiterals(t *testing.T) {
	t.Parallel()
	names := secretSettings(t)
	if len(names) < 8 {
		t.Errorf("the secrets are %q", names)
	}
	for _, name := range names {
		for _, in := range []string{"{kty: RSA, %s: %s}", "oidc: {kty: RSA, %s: [%s]}", "routes: [{oidc: {issuers: [{kty: RSA, %s: %s}]}}]"} {
			for value, refused := range map[string]bool{"plain": true, `"${file:/run/secrets/sallyport/x}"`: false} {
				values := fmt.Sprintf("image: {repository: r}\nconfig: |\n  "+in+"\n", name, value)
				file := mustWrite(t, filepath.Join(t.TempDir(), "values.yaml"), values)
				_, err := output(t, helm, "template", chart(), "-f", file)
				if got := err != nil && strings.Contains(err.Error(), "a secret in plain text would stand in a ConfigMap"); got != refused {
					t.Errorf("%s\nis answered %v", values, err)
				}
			}
		}
	}
}

// secretSettings returns the settings of the gate's sources that are secrets of one value. Those ending with _values are lists whose
// elements belong to names, few of which are secret.
func secretSettings(t *testing.T) []string {
	t.Helper()
	setting := regexp.MustCompile("(?m)^.*auth\\.Secret\\s+`yaml:\"([a-z_0-9]+)")
	names := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range setting.FindAllStringSubmatch(string(text), -1) {
			if name := m[1]; !strings.HasSuffix(name, "_values") && name != "client_secret_hash" {
				names[name] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(names))
}

// TestSchema checks that values.schema.json has the keys of values.yaml, and no others.
func TestSchema(t *testing.T) {
	t.Parallel()
	var schema, values map[string]any
	if err := json.Unmarshal([]byte(mustRead(t, filepath.Join(chart(), "values.schema.json"))), &schema); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(mustRead(t, filepath.Join(chart(), "values.yaml"))), &values); err != nil {
		t.Fatal(err)
	}
	properties := schema["properties"].(map[string]any)
	delete(properties, "global")
	compareKeys(t, "", properties, values)
}

func compareKeys(t *testing.T, at string, properties map[string]any, values map[string]any) {
	t.Helper()
	a, b := slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(values))
	if !slices.Equal(a, b) {
		t.Errorf("%s: the schema has %q, values.yaml %q", at, a, b)
	}
	for key, value := range values {
		property, _ := properties[key].(map[string]any)
		inner, nested := property["properties"].(map[string]any)
		if mapping, ok := value.(map[string]any); ok && nested {
			if property["additionalProperties"] != false {
				t.Errorf("%s.%s: the schema takes any key", at, key)
			}
			compareKeys(t, at+"."+key, inner, mapping)
		}
	}
}
