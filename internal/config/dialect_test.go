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

// freeText has the settings whose text isn't compared: it is shown to users, sent to the issuer or checked otherwise.
var freeText = map[string]string{
	"oidc authorization_query_args_values": "sent to the issuer",
	"oidc forbidden_error_message":         "shown to users",
	"oidc unauthorized_error_message":      "shown to users",
	"oidc introspection_hint":              "sent to the issuer",
	"oidc session_audience":                "a part of a cookie's name and of a hash",
	"route pages":                          "a folder, which must exist",
	"rules allow":                          "an expression, which is compiled",
}

// TestDialects loads a file with a text that is a list, a pattern and a variable in other tools, in every setting with a text. It expects a
// problem or a warning about the setting. It finds settings by type, so that new ones are tested too.
func TestDialects(t *testing.T) {
	const probe = `$request_uri{x}.*,b|c`
	for scope, typ := range map[string]reflect.Type{
		"oidc": reflect.TypeFor[OIDC](), "route": reflect.TypeFor[proxy.RouteSettings](), "rules": reflect.TypeFor[Rule](),
	} {
		s := strict.ShapeOf(typ)
		for _, f := range s.Fields {
			if f.Enum != nil || f.IsPath() || freeText[scope+" "+f.Name] != "" || strict.IsSecret(f.Type) ||
				strict.Element(f.Type).Kind() != reflect.String {
				continue
			}
			if got := messages(t, scope, f.Name, probe); !regexp.MustCompile(`(?m): ` + f.Name + `\b`).MatchString(got) {
				t.Errorf("%s: %s: %q is neither refused nor warned of: %s", scope, f.Name, probe, got)
			}
		}
	}
}

// messages loads a file with a text in one setting, and returns the problems or warnings.
func messages(t *testing.T, scope, key, text string) string {
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
