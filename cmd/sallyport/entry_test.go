//go:build !race

package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// firstEntry lists the scenarios that hold only in the first entry of issuers, with the reason.
var firstEntry = map[string]string{
	"dpop-strict":      "without a credential no issuer is known",
	"anonymous":        "without a credential no issuer is known",
	"error-pages":      "without a credential no issuer is known",
	"error-parameters": "without a credential no issuer is known",
}

// notInEntries lists the scenarios that can't hold unchanged in an entry of issuers, with the reason.
var notInEntries = map[string]string{
	"session-parameters": "with several issuers, cookie names end with an identifier of the issuer",
}

// TestInAnEntry runs the scenarios of the settings of oidc blocks with each block moved into an entry of issuers, after another
// entry. They must pass there, too.
func TestInAnEntry(t *testing.T) {
	dir := t.TempDir()
	for _, scenario := range slices.Sorted(maps.Keys(shownByScenarios(t))) {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			moved := false
			archive, _ := changeFiles(t, scenario, func(file []byte) ([]byte, bool) {
				text, ok := intoEntries(t, file, firstEntry[scenario] != "")
				moved = moved || ok
				return text, ok
			})
			if moved && notInEntries[scenario] == "" && !passes(t, dir, scenario, archive) {
				t.Errorf("the scenario %s fails with its oidc blocks in entries of issuers", scenario)
			}
		})
	}
}

// shownByScenarios returns the scenarios that the tables of settings name for settings of oidc blocks.
func shownByScenarios(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, table := range []string{"kong-parameters", "settings"} {
		data, err := os.ReadFile("../../testdata/" + table + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			_, scenario, works := strings.Cut(strings.TrimSuffix(line, "\n"), " | works ")
			ofOIDC := table == "kong-parameters" || strings.HasPrefix(line, "oidc.")
			if works && ofOIDC && !strings.Contains(scenario, " ") {
				all[scenario] = true
			}
		}
	}
	return all
}

// intoEntries moves each route's oidc block into an entry of issuers, beside an entry of an unused issuer. It doesn't change
// blocks that have no issuer.
func intoEntries(t *testing.T, file []byte, first bool) (text []byte, moved bool) {
	var root map[string]any
	if yaml.Unmarshal(file, &root) != nil || root == nil {
		return file, false
	}
	routes := []any{root}
	defaults := map[string]any{}
	if list, ok := root["routes"].([]any); ok {
		routes = list
		if process, ok := root["oidc"].(map[string]any); ok {
			defaults = process
			delete(root, "oidc")
		}
	}
	for _, r := range routes {
		route, ok := r.(map[string]any)
		if !ok || route["route"] == nil {
			return file, false // not a gate's configuration
		}
		own, _ := route["oidc"].(map[string]any)
		block := inherit(defaults, own)
		if block["issuer"] == nil {
			if len(block) > 0 {
				route["oidc"] = block
			}
			continue
		}
		route["oidc"] = map[string]any{"issuers": entries(route["route"].(map[string]any), block, first)}
		moved = true
	}
	text, err := yaml.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return text, moved
}

// ofIssuer matches the settings that a route with its own issuer doesn't inherit.
var ofIssuer = regexp.MustCompile(`^(issuer|client|tls_|scopes|audience$)|_endpoint|jwks|_args|_headers_|redirect_uri`)

// inherit returns a route's oidc block with the defaults of the process.
func inherit(defaults, own map[string]any) map[string]any {
	block := map[string]any{}
	maps.Copy(block, defaults)
	if own["issuer"] != nil {
		maps.DeleteFunc(block, func(key string, _ any) bool { return ofIssuer.MatchString(key) })
	}
	maps.Copy(block, own)
	return block
}

// sharedSettings are the settings that must be equal in all entries.
var sharedSettings = strings.Fields(`bearer_token_cookie_name bearer_token_header_name bearer_token_param_type client_credentials_param_type
	credential_body_limit login_issuer_arg password_param_type refresh_token_param_name refresh_token_param_type run_on_preflight
	id_token_param_name id_token_param_type`)

// entries returns two entries of issuers: one with the settings of block, which comes first if first is set, and one of an
// unused issuer.
func entries(route, block map[string]any, first bool) []any {
	entry := maps.Clone(block)
	entry["name"] = "moved"
	if entry["redirect_uri"] == nil {
		base := "/"
		if paths, ok := route["paths"].([]any); ok {
			base = strings.TrimSuffix(paths[0].(string), "/") + "/"
		}
		entry["redirect_uri"] = base + "oauth2/callback"
	}
	other := map[string]any{
		"name": "other", "issuer": "http://127.0.0.1:1", "using_pseudo_issuer": true, "jwks_endpoint": "http://127.0.0.1:1/jwks",
		"client_id": "other", "auth_methods": []any{"bearer"},
	}
	for _, key := range sharedSettings {
		if v, ok := entry[key]; ok {
			other[key] = v
		}
	}
	if first {
		return []any{entry, other}
	}
	return []any{other, entry}
}
