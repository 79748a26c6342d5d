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

// asFirst are the scenarios that hold for the first entry of issuers alone, and why.
var asFirst = map[string]string{
	"anonymous":        "without a credential no issuer is known",
	"error-pages":      "without a credential no issuer is known",
	"error-parameters": "without a credential no issuer is known",
}

// otherwise are the scenarios that can't hold in an entry word for word, and why.
var otherwise = map[string]string{
	"session-parameters": "the names of several issuers' cookies end with what each issuer is",
}

// TestInAnEntry runs the scenarios that show what the settings of an oidc block do, which TestLeftOut says they need, with each
// block moved into an entry of issuers, after another one: all of it must hold there, too.
func TestInAnEntry(t *testing.T) {
	dir := t.TempDir()
	for _, scenario := range slices.Sorted(maps.Keys(shownByScenarios(t))) {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			moved := false
			archive, _ := changeFiles(t, scenario, func(file []byte) ([]byte, bool) {
				text, ok := intoEntries(t, file, asFirst[scenario] != "")
				moved = moved || ok
				return text, ok
			})
			if moved && otherwise[scenario] == "" && !plays(t, dir, scenario, archive) {
				t.Errorf("the scenario %s fails with its oidc blocks in entries of issuers", scenario)
			}
		})
	}
}

// shownByScenarios are the scenarios that the tables name.
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

// intoEntries moves each route's oidc block into an entry of issuers, beside one of an issuer that no token names. It leaves
// blocks alone that have issuers.
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
			return file, false // of files elsewhere
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

// ofIssuer are the settings that no route with an issuer of its own inherits.
var ofIssuer = regexp.MustCompile(`^(issuer|client|tls_|scopes|audience$)|_endpoint|jwks|_args|_headers_|redirect_uri`)

// inherit is what a route's block is with the defaults of the process.
func inherit(defaults, own map[string]any) map[string]any {
	block := map[string]any{}
	maps.Copy(block, defaults)
	if own["issuer"] != nil {
		maps.DeleteFunc(block, func(key string, _ any) bool { return ofIssuer.MatchString(key) })
	}
	maps.Copy(block, own)
	return block
}

// agreed are the settings that all entries must have alike.
var agreed = strings.Fields(`bearer_token_cookie_name bearer_token_header_name bearer_token_param_type client_credentials_param_type
	credential_body_limit login_issuer_arg password_param_type refresh_token_param_name refresh_token_param_type run_on_preflight
	id_token_param_name id_token_param_type`)

// entries are those of a block, and of an issuer that no token names.
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
	for _, key := range agreed {
		if v, ok := entry[key]; ok {
			other[key] = v
		}
	}
	if first {
		return []any{entry, other}
	}
	return []any{other, entry}
}
