package config

import (
	"path/filepath"
	"testing"
)

// TestExamples: what stands in configs and deploy loads, without a warning.
func TestExamples(t *testing.T) {
	t.Setenv("OIDC_CLIENT_SECRET", "secret")
	t.Setenv("SESSION_SECRET", "0123456789abcdef0123456789abcdef")
	for name, routes := range map[string]int{"configs/minimal.yaml": 1, "configs/sallyport.yaml": 2, "deploy/compose.sallyport.yaml": 1} {
		f, err := Load(filepath.Join("../..", name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(f.Routes) != routes || len(f.Warnings()) > 0 {
			t.Errorf("%s: %d routes, warnings %q", name, len(f.Routes), f.Warnings())
		}
	}
}
