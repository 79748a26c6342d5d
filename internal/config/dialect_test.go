package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/proxy"
	"sallyport/internal/strict"
)

// freeText are the settings whose text is shown to people, or sent to somebody who knows what it means.
var freeText = map[string]string{
	"oidc authorization_query_args_values": "sent to the issuer",
	"oidc forbidden_error_message":         "shown to people",
	"oidc unauthorized_error_message":      "shown to people",
	"oidc introspection_hint":              "sent to the issuer",
	"oidc session_audience":                "a part of a cookie's name and of a hash",
	"route pages":                          "a folder, which must be there",
	"rules allow":                          "an expression, which is compiled",
}

// TestDialects writes into every setting that holds text what other tools read as a list, a pattern and a variable, and demands
// a complaint or a warning that names the setting. A new setting is found by its type.
func TestDialects(t *testing.T) {
	const probe = `$request_uri{x}.*,b|c`
	for scope, typ := range map[string]reflect.Type{
		"oidc": reflect.TypeFor[OIDC](), "route": reflect.TypeFor[proxy.RouteSettings](), "rules": reflect.TypeFor[Rule](),
	} {
		s := strict.ShapeOf(typ)
		for i := range s.Fields {
			f := &s.Fields[i]
			if f.Enum != nil || f.IsPath() || freeText[scope+" "+f.Name] != "" || strict.Element(f.Type).Kind() != reflect.String || strict.IsSecret(f.Type) {
				continue
			}
			if said := complaints(t, scope, f.Name, probe); !regexp.MustCompile(`(?m): ` + f.Name + `\b`).MatchString(said) {
				t.Errorf("%s: %s: %q is taken without a word about it: %s", scope, f.Name, probe, said)
			}
		}
	}
}

// complaints loads a file with a text in one setting, and returns all that is said.
func complaints(t *testing.T, scope, key, text string) string {
	t.Helper()
	in := map[string]string{"oidc": "", "route": "", "rules": ""}
	in[scope] = fmt.Sprintf("%s: %q", key, text)
	upstream, issuer, client := "upstream: \"http://127.0.0.1:8080\", ", "issuer: \"https://idp.example.com\", ", "client_id: app, "
	for k, d := range map[string]*string{"upstream": &upstream, "issuer": &issuer, "client_id": &client} {
		if k == key {
			*d = ""
		}
	}
	f, err := loadText(t, fmt.Sprintf("routes:\n  - route: {%s%s}\n    oidc: {%s%s%s}\n    rules: [{%s}]\n",
		upstream, in["route"], issuer, client, in["oidc"], in["rules"]))
	if err != nil {
		return err.Error()
	}
	return strings.Join(f.Warnings(), "\n")
}
