package importer

import (
	"slices"
	"strings"
	"testing"
)

// o2pBase is a command line with what every deployment needs.
const o2pBase = "--provider=keycloak-oidc --oidc-issuer-url=https://idp.example.com --client-id=app --client-secret=literal " +
	"--upstream=http://127.0.0.1:8080/ "

// TestOAuth2ProxyAccess checks which rules a deployment gets.
func TestOAuth2ProxyAccess(t *testing.T) {
	const verified = `!(has(id_token.email_verified) && string(id_token.email_verified) == "false") && `
	for flags, want := range map[string]string{
		"--email-domain=*":           verified + `id_token.email != ""`,
		"--email-domain=example.com": verified + `id_token.email.matches("(?i)^([^@]+@example\\.com)$")`,
		"--email-domain=.a.b --email-domain=*.c.d": verified +
			`id_token.email.matches("(?i)^([^@]+@[^@]*\\.a\\.b|[^@]+@[^@]*\\.c\\.d)$")`,
		"": `allow: "false"`,
		"--authenticated-emails-file=/etc/emails":                    `allow: "false"`,
		"--email-domain=* --allowed-group=a,b":                       `id_token.groups.exists(v, v in ["a", "b"])`,
		"--email-domain=* --oidc-groups-claim=x.y --allowed-group=a": `"a" in id_token.x.y`,
		"--email-domain=* --allowed-role=c:r":                        `"r" in claims.resource_access.c.roles`,
		"--email-domain=* --google-group=ops":                        `allow: "false"`,
		"--email-domain=* --allowed-planet=mars":                     `allow: "false"`,
		"--email-domain=* --planet=mars":                             `id_token.email != ""`,
		"--email-domain=* --allowed-group=a --user-id-claim=upn":     `id_token.upn != "" && "a" in id_token.groups`,
	} {
		got := o2pImport(t, o2pBase+flags)
		if !strings.Contains(got, want) {
			t.Errorf("%s: expected %s in\n%s", flags, want, got)
		}
	}
}

// TestOAuth2ProxyOpen checks which paths are open.
func TestOAuth2ProxyOpen(t *testing.T) {
	for flag, want := range map[string]string{
		"--skip-auth-route=^/a(/|$)":       "- paths: [/a]\n        auth: \"off\"\n",
		"--skip-auth-route=GET=^/a":        "- paths: [/a]\n        methods: [GET]\n        auth: \"off\"\n",
		"--skip-auth-route=^/a$":           "- paths: [/a]\n        auth: optional\n        allow: request.path == \"/a\" || ",
		"--skip-auth-route=^/a/":           "- paths: [/a]\n        auth: optional\n        allow: request.path.startsWith(\"/a/\") || ",
		"--skip-auth-regex=^/":             "- auth: \"off\"\n",
		"--skip-auth-route=^/a/$":          "",
		"--skip-auth-route=^/$":            "",
		"--skip-auth-route=/a":             "",
		"--skip-auth-route=!=^/a":          "",
		"--skip-auth-route=GET!=^/a":       "",
		"--skip-auth-route=G.T=^/a":        "",
		"--skip-auth-route=^/a%2F":         "",
		"--skip-auth-route=^/a/../b(/|$)":  "",
		"--skip-auth-route=(":              "",
		"--skip-auth-regex=^/a|/b":         "",
		"--trusted-ip=10.0.0.0/8":          "",
		"--skip-auth-route=^/:id(/|$)":     "",
		"--skip-auth-route=^/a(/|$),^/a/b": "- paths: [/a]\n        auth: \"off\"\n",
	} {
		_, rules, _ := strings.Cut(o2pImport(t, o2pBase+"--email-domain=* '"+flag+"'"), "rules:\n      ")
		rules, _, _ = strings.Cut(rules, "      - allow: ")
		if want == "" && !strings.HasPrefix(rules, "- allow: ") || want != "" && !strings.HasPrefix(rules, want) {
			t.Errorf("%s: expected %q, got %q", flag, want, rules)
		}
		if want != "" && strings.Count(rules, "- ") != 1 {
			t.Errorf("%s: expected one rule, got %q", flag, rules)
		}
	}
}

// TestOAuth2ProxyTLS checks the listeners.
func TestOAuth2ProxyTLS(t *testing.T) {
	got := o2pImport(t, o2pBase+"--email-domain=* --http-address=:80 --https-address=[::1]:443 --tls-cert-file=/a.pem "+
		"--tls-key-file=/a.key --force-https --tls-min-version=TLS1.3")
	want := "listen:\n  - address: '[::1]:443'\n    tls:\n      cert_file: /a.pem\n      key_file: /a.key\n      min_version: \"1.3\"\noidc:"
	if !strings.HasPrefix(got, want) {
		t.Errorf("expected %s, got %s", want, got)
	}
}

// TestOAuth2ProxyMistakes checks the errors of files that can't be read.
func TestOAuth2ProxyMistakes(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"a.cfg", "provider = \"oidc\"\nclient_id = \"x\n", "a.cfg:2: "},
		{"a.cfg", "\n[table]\nx = 1\n", "a.cfg:2: a table: expected NAME = VALUE"},
		{"a.cfg", "client_id = 2024-01-01\n", "a.cfg:1: client_id is a LocalDate: expected a string"},
		{"a.cfg", "provider = \"oidc\"\nclient_id = \"x\"\n", "a.cfg:1: the provider oidc needs oidc_issuer_url"},
		{"a.cfg", "provider = \"pigeon\"\n", "a.cfg:1: provider: \"pigeon\" isn't known: expected one of adfs, "},
		{"a.cfg", "provider = \"google\"\n", "a.cfg:1: client_id isn't set"},
		{"a.cfg", "# nothing\n", "no option of oauth2-proxy was found"},
		{"a.yaml", "a: [", "a.yaml: the YAML can't be read"},
		{"a.yaml", "- a\n", "a.yaml:1: expected an alpha configuration"},
		{"a.yaml", "providers:\n  - &p {clientID: x}\n  - *p\n", "a.yaml:3: an alias (*p): write the value out"},
		{"a.sh", "oauth2-proxy --client-id", "a.sh:1: --client-id needs a value"},
		{"a.sh", "oauth2-proxy \\\n --client-id='x", "a.sh:2: a ' isn't closed"},
	} {
		_, err := Import("oauth2-proxy", []Source{{test.name, []byte(test.text)}})
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%q: got %v, want %s", test.text, err, test.want)
		}
	}
}

// TestCommandLine checks that a shell reads the words of a command line as they are.
func TestCommandLine(t *testing.T) {
	words := []string{"--a=b c", `--d="x"`, "--e='$y`z\\", "--f=#1", ""}
	read, err := shellWords(CommandLine(words))
	var got []string
	for _, w := range read {
		got = append(got, w.text)
	}
	if err != nil || !slices.Equal(got, words) {
		t.Errorf("got %q, %v, want %q", got, err, words)
	}
}

// o2pImport returns the configuration of a command line.
func o2pImport(t *testing.T, line string) string {
	t.Helper()
	result, err := Import("oauth2-proxy", []Source{{"line.sh", []byte(line)}})
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return string(result.Single().Data)
}
