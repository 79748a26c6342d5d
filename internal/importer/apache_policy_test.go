package importer

import (
	"strings"
	"testing"
)

// TestRequire checks the rule of a section with some Require directives: what isn't known never opens.
func TestRequire(t *testing.T) {
	const a, b = `(has(claims.a) && (type(claims.a) == list ? claims.a : [claims.a]).exists(v, string(v) == "1"))`,
		`(has(claims.b) && (type(claims.b) == list ? claims.b : [claims.b]).exists(v, string(v).matches("^x")))`
	for _, c := range []struct{ text, want string }{
		{"Require valid-user", "auth: required"},
		{"Require all granted", `auth: "off"`},
		{"Require all denied", `allow: "false"`},
		{"Require claim a:1", "allow: '" + a + "'"},
		{"Require claim a:1 b~^x", "allow: '" + a + " || " + b + "'"},
		{"Require claim a:1\nRequire claim b~^x", "allow: '" + a + " || " + b + "'"},
		{"Require claim a:1\nRequire all granted", `auth: "off"`},
		{"Require claim a:1\nRequire ip 10.0.0.1", "allow: '" + a + "'"},
		{"Require ip 10.0.0.1", `allow: "false"`},
		{"Require not claim a:1", `allow: "false"`},
		{"Require claim a:1\nRequire not claim b~^x", "allow: '" + a + "'"},
		{"Require claim b~(", `allow: "false"`},
		{"Require claim hidden:1", `allow: "false"`},
		{"Require claim", `allow: "false"`},
		{"Require", `allow: "false"`},
		{"Require user ann@as.example.com\nRequire env", `allow: (has(claims.sub) && string(claims.sub) == "ann")`},
		{"Require user ann", `allow: "false"`},
		{"<RequireAll>\nRequire claim a:1\nRequire not claim b~^x\n</RequireAll>", "allow: '" + a + " && !(" + b + ")'"},
		{"<RequireAll>\nRequire valid-user\nRequire not ip 10.0.0.1\n</RequireAll>", `allow: "false"`},
		{"<RequireAll>\nRequire all granted\nRequire not claim a:1\n</RequireAll>", "allow: '!(" + a + ")'"},
		{
			"<RequireAll>\nRequire claim a:1\n<RequireNone>\nRequire claim b~^x\nRequire ip 10.0.0.1\n</RequireNone>\n</RequireAll>",
			`allow: "false"`,
		},
		{"<RequireNone>\nRequire claim a:1\n</RequireNone>", `allow: "false"`},
		{
			"<RequireAll>\nRequire claim a:1\n<RequireAny>\nRequire host example.com\nRequire claim b~^x\n</RequireAny>\n</RequireAll>",
			"allow: '" + a + " && " + b + "'",
		},
		{
			"<RequireAll>\n<RequireNone>\n<RequireNone>\nRequire ip 10.0.0.1\n</RequireNone>\n</RequireNone>\nRequire valid-user\n</RequireAll>",
			`allow: "false"`,
		},
		{"AuthType Basic\nRequire valid-user", `allow: "false"`},
		{"AuthType None\nRequire all granted", `auth: "off"`},
		{"OIDCUnAuthAction pass\nRequire valid-user", "auth: optional"},
		{"OIDCUnAuthAction 410\nRequire valid-user", `on_unauthenticated: "401"`},
		{"OIDCUnAuthAction auth true\nRequire claim a:1", "on_unauthenticated: login\n        allow: '" + a + "'"},
		{"<If \"true\">\nRequire all denied\n</If>", `allow: "false"`},
		{"Include other.conf\nRequire all granted", `allow: "false"`},
		{"Require all granted\nDeny from all", `allow: "false"`},
	} {
		text, want := c.text, c.want
		site := "ServerName api.example.com\nOIDCOAuthServerMetadataURL https://as.example.com\nOIDCOAuthRemoteUserClaim sub@\n" +
			"OIDCBlackListedClaims hidden\nProxyPass / http://127.0.0.1:8080/\n" +
			"<Location />\nAuthType oauth20\nRequire valid-user\n</Location>\n<Location /x>\n" + text + "\n</Location>\n"
		result, err := Import("mod_auth_openidc", []Source{{"site.conf", []byte(site)}})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		_, got, _ := strings.Cut(string(result.Single().Data), "- paths: [/x]\n        ")
		got, _, _ = strings.Cut(got, "\n      -")
		if strings.Trim(got, "'") != strings.Trim(want, "'") && got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// TestApacheMistakes checks the errors of files that can't be read.
func TestApacheMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"<Location /a>\nRequire valid-user":           "site.conf:1: <Location> isn't closed: expected </Location>",
		"<Location /a>\n</VirtualHost>":               "site.conf:2: </VirtualHost> stands where </Location> is expected",
		"</Location>":                                 "site.conf:1: </Location> closes no section",
		"ServerName \\\n  \"a":                        `site.conf:1: a " isn't closed: expected a second one`,
		"<Location /a\n":                              "site.conf:1: a section without > at the end of its line",
		"# nothing":                                   "no virtual host with OIDC directives, AuthType or ProxyPass was found",
		strings.Repeat("<Location /a>\n", maxDepth+2): "site.conf:102: sections are nested deeper than 100",
	} {
		_, err := Import("mod_auth_openidc", []Source{{"site.conf", []byte(text)}})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text[:min(len(text), 40)], err, want)
		}
	}
}
