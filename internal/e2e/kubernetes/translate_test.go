package kubernetes

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEnvoyGateway has Envoy Gateway itself translate the plain manifests, as it does in a cluster, and checks that it accepts each of its
// objects and asks the gate. The tests of package e2e run the translation of the chart's objects.
func TestEnvoyGateway(t *testing.T) {
	t.Parallel()
	egctl := filepath.Join(root, ".cache/bin/egctl")
	if _, err := os.Stat(egctl); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "deploy/kubernetes/gateway-api")
	encoded := base64.StdEncoding.EncodeToString
	all := fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: app-tls, namespace: sallyport}\ntype: kubernetes.io/tls\n"+
		"data: {tls.crt: %s, tls.key: %s}\n", encoded([]byte(certificate)), encoded([]byte(key)))
	for _, name := range []string{"namespace", "gateway", "app", "service", "securitypolicy"} {
		all += "---\n" + mustRead(t, filepath.Join(folder, name+".yaml"))
	}
	all = asServed(all)
	file := mustWrite(t, filepath.Join(t.TempDir(), "all.yaml"), all)
	got := mustOutput(t, egctl, "experimental", "translate", "--from", "gateway-api", "--to", "gateway-api,xds", "-f", file)
	if strings.Contains(got, "status: \"False\"") {
		t.Errorf("Envoy Gateway doesn't accept an object:\n%s", got)
	}
	for what, expected := range map[string]int{
		`clusterName: securitypolicy/app/app/extauth/0\n\s+timeout: 10s\n`: 1, // the filter asks
		`envoy.filters.http.ext_authz/securitypolicy/app/app:\n`:           1, // on the route of the app alone
		`pathWithEscapedSlashesAction: REJECT_REQUEST`:                     1,
		`failureModeAllow: true`:                                           0,
	} {
		if n := len(regexp.MustCompile(what).FindAllString(got, -1)); n != expected {
			t.Errorf("%s is there %d times, expected %d:\n%s", what, n, expected, got)
		}
	}
}

var (
	specs    = regexp.MustCompile(`(\nspec:\n)(  selector:)`)
	selector = regexp.MustCompile(`from: Selector\n +selector:\n.*\n`)
)

// asServed adds to Services the addresses that a cluster gives them. It replaces the Gateway's selector of namespaces, because egctl
// doesn't read the labels of namespaces; TestRoutes judges it.
func asServed(all string) string {
	return selector.ReplaceAllString(specs.ReplaceAllString(all, "$1  clusterIP: 10.96.0.1\n$2"), "from: All\n")
}
