package flow

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// otherMeanings lists the files in which the name of a flow has another meaning.
var otherMeanings = map[string]string{
	"app/admin_sessions.go":    "an attribute of the log",
	"app/shared.go":            "values of cluster_cache_items",
	"authserver/refresh.go":    "the parameter refresh_token (RFC 6749 §6)",
	"authserver/settings.go":   "grant types (RFC 6749 §4)",
	"authz/expression.go":      "variables of expressions",
	"config/kong.go":           "values that Kong's plugin has for disable_session",
	"fapi/fapi.go":             "values of profile_message_signing",
	"fapi/requirements.go":     "the values of auth_methods that profiles refuse, and the beginnings of settings' names",
	"flow/login_action.go":     "values of login_tokens",
	"flow/logout.go":           "token_type_hint (RFC 7009 §2.1)",
	"flow/route.go":            "names of parameters that hold credentials",
	"flow/session_refresh.go":  "token_type_hint (RFC 7009 §2.1)",
	"flow/session_settings.go": "the beginning of a cookie's name",
	"flow/settings.go":         "values of cluster_cache_items",
	"flow/token.go":            "the scheme Bearer (RFC 6750 §2.1)",
	"oidc/check_requests.go":   "parameters of token requests",
	"oidc/client_auth.go":      "names of endpoints",
	"oidc/client_caches.go":    "names of caches",
	"oidc/introspection.go":    "a part of a cache's key",
	"oidc/settings.go":         "values of ignore_signature: grant types and endpoints",
	"oidc/token_grants.go":     "grant types (RFC 6749 §4)",
	"oidc/token_response.go":   "members of token responses (RFC 6749 §5.1)",
	"oidc/userinfo.go":         "a part of a cache's key",
	"proxy/fields.go":          "the scheme Bearer (RFC 6750 §2.1)",
	"redis/redis.go":           "the password of a Redis user",
}

// outside has the packages that aren't parts of the gate. The importer writes configurations, as people do, from those of systems with
// names of their own.
var outside = []string{"provider", "bench", "e2e", "importer"}

// TestNamesStandInTheirFiles: no product file except a flow's own contains the name of the flow as a string, or as a word of
// a struct tag.
func TestNamesStandInTheirFiles(t *testing.T) {
	names := map[string]bool{}
	for _, k := range table {
		names[string(k.Name)] = k.Name != ""
	}
	used := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		file := strings.TrimPrefix(filepath.ToSlash(path), "../")
		pkg, _, _ := strings.Cut(file, "/")
		if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") ||
			slices.Contains(outside, pkg) {
			return err
		}
		for _, name := range namesIn(t, path, names) {
			if file == "flow/"+name+".go" {
				continue
			}
			if used[file] = true; otherMeanings[file] == "" {
				t.Errorf("%s has the name of the flow %s: derive it from the flow's Kind, or say in otherMeanings what it means there",
					file, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for file, meaning := range otherMeanings {
		if !used[file] && meaning != "" {
			t.Errorf("%s has no such word any more: take it out of otherMeanings", file)
		}
	}
}

// namesIn returns the names that occur in a file as strings, or as words of the values of struct tags.
func namesIn(t *testing.T, path string, names map[string]bool) (all []string) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	tags := map[*ast.BasicLit]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok && field.Tag != nil {
			tags[field.Tag] = true
		}
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		words := []string{text}
		if tags[literal] {
			tag := reflect.StructTag(text)
			words = strings.FieldsFunc(tag.Get("enum")+","+tag.Get("default")+","+tag.Get("yaml"),
				func(r rune) bool { return strings.ContainsRune(",[] ", r) })
		}
		for _, word := range words {
			if names[word] {
				all = append(all, word)
			}
		}
		return true
	})
	return all
}
