package app

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// house has the packages of this module, and the packages in internal that each may import.
var house = map[string]string{
	"cmd/sallyport": "app cmdline config forwardauth importer",
	"internal/app": "config watch forwardauth proxy authz flow oidc session authserver signer dpop cache redis keyring " +
		"console importer strict check telemetry audit auth provider acmecert authorities",
	"internal/console":     "attempts auth",
	"internal/attempts":    "",
	"internal/config":      "strict forwardauth proxy page authz flow fapi oidc session authserver mcp signer acmecert check auth",
	"internal/cmdline":     "",
	"internal/importer":    "config authserver strict auth",
	"internal/strict":      "check auth",
	"internal/http1":       "",
	"internal/forwardauth": "proxy check auth",
	"internal/balance":     "",
	"internal/authorities": "",
	"internal/proxy":       "authorities balance http1 dpop clientcert page authz mcp check telemetry audit auth",
	"internal/page":        "check auth",
	"internal/authz":       "check auth",
	"internal/flow":        "dpop clientcert oidc session authserver mcp cache redis keyring check audit auth",
	"internal/oidc":        "authorities dpop clientcert cache check telemetry auth",
	"internal/session":     "keyring redis cache check telemetry auth",
	"internal/signer":      "redis keyring check auth",
	"internal/acmecert":    "authorities redis keyring check auth",
	"internal/authserver":  "attempts mcp keyring redis cache check audit auth",
	"internal/mcp":         "check auth",
	"internal/dpop":        "redis auth",
	"internal/cache":       "keyring redis telemetry",
	"internal/keyring":     "auth",
	"internal/redis":       "authorities check telemetry auth",
	"internal/check":       "auth",
	"internal/watch":       "",
	"internal/clientcert":  "",
	"internal/auth":        "",
	"internal/audit":       "",
	"internal/telemetry":   "",
	"internal/fapi":        "",
	"internal/provider":    "",
	"internal/bench":       "provider dpop/dpoptest",
	"internal/e2e":         "",
	"internal/freeport":    "",
	"internal/golden":      "",
	"internal/faults":      "",
	"internal/testlog":     "",

	"internal/dpop/dpoptest":   "",
	"internal/redis/redistest": "redis freeport",
}

// TestHouse checks that house has all packages, and that they import no others.
func TestHouse(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "sallyport/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, "sallyport/")
		allowed, known := house[name]
		if !known {
			t.Errorf("the package %s isn't in house", name)
		}
		seen[name] = true
		for _, i := range p.Imports {
			below, ours := strings.CutPrefix(i, "sallyport/internal/")
			if ours && !strings.Contains(" "+allowed+" ", " "+below+" ") {
				t.Errorf("%s imports %s, which house doesn't allow", name, i)
			}
			if name == "internal/auth" && strings.Contains(strings.SplitN(i, "/", 2)[0], ".") {
				t.Errorf("internal/auth imports %s, expected only the standard library", i)
			}
		}
	}
	for name := range house {
		if !seen[name] {
			t.Errorf("house has %s, which doesn't exist", name)
		}
	}
}
