package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImportsOfProxies imports the files of oauth2-proxy and Apache in testdata of the importer. The gate accepts what comes out, except for files
// that this machine doesn't have.
func TestImportsOfProxies(t *testing.T) {
	for _, test := range []struct {
		system, files, want string
		line                []string
	}{
		{system: "oauth2-proxy", files: "keycloak.cfg"},
		{system: "oauth2-proxy", files: "alpha.cfg alpha.yaml"},
		{system: "oauth2-proxy", files: "kubernetes.yaml"},
		{system: "oauth2-proxy", files: "google.env emails.txt"},
		{system: "oauth2-proxy", files: "compose.yaml"},
		{system: "oauth2-proxy", files: "precedence.cfg precedence.env precedence.args"},
		{system: "oauth2-proxy", files: "github.sh", want: "/etc/ssl/wiki.pem"},
		{system: "oauth2-proxy", files: "keycloak.cfg", line: []string{"--upstream", "static://202", "--skip-auth-route=^/a b$"}},
		{system: "mod_auth_openidc", files: "portal.conf"},
		{system: "mod_auth_openidc", files: "api.conf"},
		{system: "mod_auth_openidc", files: "mixed.conf"},
		{system: "mod_auth_openidc", files: "files.conf wiki-extra.conf"},
	} {
		t.Run(test.system+" "+test.files, func(t *testing.T) {
			o := ImportOptions{System: test.system, Folder: filepath.Join(t.TempDir(), "out"), CommandLine: test.line}
			for name := range strings.FieldsSeq(test.files) {
				o.Files = append(o.Files, filepath.Join("../importer/testdata", test.system, name))
			}
			var out, report bytes.Buffer
			err := Import(o, nil, &out, &report)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got the error %v, want %q", err, test.want)
			}
			if _, err := os.Stat(filepath.Join(o.Folder, "sallyport.yaml")); err != nil {
				t.Error(err)
			}
			for _, secret := range []string{"hunter2", "portal-secret", "GOCSPX", "OQINaROshtE9", "wiki-secret", "passphrase"} {
				if strings.Contains(report.String(), secret) {
					t.Errorf("the report has the secret %s:\n%s", secret, &report)
				}
			}
		})
	}
}
