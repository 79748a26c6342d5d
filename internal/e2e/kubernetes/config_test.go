package kubernetes

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	gateway "github.com/envoyproxy/gateway/api/v1alpha1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	gatewayapi "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// sallyport runs a command of the binary with the configuration, the volumes and the environment of the pod.
func sallyport(t *testing.T, o *objects, command ...string) (string, error) {
	t.Helper()
	n := newNode(t, o)
	cmd := exec.CommandContext(t.Context(), binary, append(command, "-c", n.relocate())...)
	cmd.Env = append(os.Environ(), n.env()...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// mustSnippet returns what sallyport snippet prints for the configuration of a pod.
func mustSnippet(t *testing.T, o *objects) string {
	t.Helper()
	config := of[*core.ConfigMap](o)[0].Data["sallyport.yaml"]
	out, err := sallyport(t, o, "snippet", forwardAuthOf(config))
	if err != nil {
		t.Fatalf("%s: %v\n%s", o.name, err, out)
	}
	return out
}

// TestConfig checks the configuration of each pod with sallyport check.
func TestConfig(t *testing.T) {
	t.Parallel()
	for _, o := range everything(t) {
		if out, err := sallyport(t, o, "check"); err != nil || strings.Contains(out, "warning:") || !strings.Contains(out, ": ok, ") {
			t.Errorf("%s: %v\n%s", o.name, err, out)
		}
	}
	o := mustRender(t, "edge")
	config := of[*core.ConfigMap](o)[0]
	config.Data["sallyport.yaml"] += "upstreem: x\n"
	if out, err := sallyport(t, o, "check"); err == nil || !strings.Contains(out, "sallyport.yaml:10: unknown key upstreem") {
		t.Errorf("a configuration with a mistake: %v\n%s", err, out)
	}
}

// TestSecurityPolicy checks that Envoy Gateway asks about a request as the snippet for Envoy does: over gRPC, with all headers, without
// bodies, closed if the gate is away; and that the gate's own paths are those of the snippet, and not protected.
func TestSecurityPolicy(t *testing.T) {
	t.Parallel()
	found := 0
	for _, o := range everything(t) {
		for _, p := range of[*gateway.SecurityPolicy](o) {
			found++
			if p.Spec.ExtAuth != nil {
				checkExtAuth(t, o, p)
			} else {
				checkUnprotected(t, o, p)
			}
		}
		if len(of[*gateway.SecurityPolicy](o)) > 0 {
			checkOwnPaths(t, o)
		}
	}
	if found < 4 {
		t.Errorf("%d policies were found", found)
	}
}

func checkExtAuth(t *testing.T, o *objects, p *gateway.SecurityPolicy) {
	t.Helper()
	ask := p.Spec.ExtAuth
	snippet := mustSnippet(t, o)
	for _, must := range []string{"failure_mode_allow: false", "grpc_service: {envoy_grpc: {cluster_name: sallyport}, timeout: "} {
		if !strings.Contains(snippet, must) {
			t.Errorf("%s: the snippet doesn't have %q any more: compare it with the policy", o.name, must)
		}
	}
	for _, mustNot := range []string{"with_request_body", "allowed_headers", "disallowed_headers", "encode_raw_headers"} {
		if strings.Contains(snippet, mustNot) {
			t.Errorf("%s: the snippet has %q: compare it with the policy", o.name, mustNot)
		}
	}
	if ask.GRPC == nil || ask.HTTP != nil || ask.FailOpen == nil || *ask.FailOpen || ask.BodyToExtAuth != nil || ask.HeadersToExtAuth != nil {
		t.Errorf("%s: SecurityPolicy %s is unlike the snippet:\n%s", o.name, p.Name, o.text[p])
	}
	if ask.Timeout == nil || ask.StatusOnError == nil || *ask.StatusOnError != 503 {
		t.Errorf("%s: SecurityPolicy %s: no timeout or no status:\n%s", o.name, p.Name, o.text[p])
	}
	for _, target := range p.Spec.TargetRefs {
		if target.Kind != "Gateway" && isGateRoute(o, p.Namespace, string(target.Name)) {
			t.Errorf("%s: SecurityPolicy %s protects the gate's own paths", o.name, p.Name)
		}
	}
	for _, c := range of[*gateway.ClientTrafficPolicy](o) {
		if a := c.Spec.Path.EscapedSlashesAction; a == nil || *a != gateway.RejectRequestAction || *c.Spec.Path.DisableMergeSlashes {
			t.Errorf("%s: paths are unlike those of the snippet:\n%s", o.name, o.text[c])
		}
	}
	if len(of[*gateway.ClientTrafficPolicy](o)) != 1 {
		t.Errorf("%s: no ClientTrafficPolicy", o.name)
	}
}

// gateRoute returns the HTTPRoute of the gate's own paths, or nil if there are none.
func gateRoute(o *objects) *gatewayapi.HTTPRoute {
	for _, r := range of[*gatewayapi.HTTPRoute](o) {
		if strings.HasSuffix(r.Name, "sallyport") {
			return r
		}
	}
	return nil
}

func isGateRoute(o *objects, namespace, name string) bool {
	own := gateRoute(o)
	return own != nil && own.Namespace == namespace && own.Name == name
}

// checkUnprotected checks that a policy that allows all requests is for the gate's own paths alone.
func checkUnprotected(t *testing.T, o *objects, p *gateway.SecurityPolicy) {
	t.Helper()
	if len(p.Spec.TargetRefs) != 1 || !isGateRoute(o, p.Namespace, string(p.Spec.TargetRefs[0].Name)) || p.Spec.Authorization == nil {
		t.Errorf("%s: SecurityPolicy %s allows more than the gate's own paths:\n%s", o.name, p.Name, o.text[p])
	}
}

// checkOwnPaths compares the paths of the HTTPRoute to the gate with those of the snippet.
func checkOwnPaths(t *testing.T, o *objects) {
	t.Helper()
	var snippet struct {
		Routes []struct{ Match struct{ Path string } }
	}
	if err := yaml.Unmarshal([]byte(mustSnippet(t, o)), &snippet); err != nil {
		t.Fatal(err)
	}
	var expected, got []string
	for _, r := range snippet.Routes {
		expected = append(expected, r.Match.Path)
	}
	own := gateRoute(o)
	if len(expected) == 0 && own == nil {
		return // an HTTPRoute without matches would take all requests
	}
	if own == nil {
		t.Fatalf("%s: no HTTPRoute has the gate's own paths %q", o.name, expected)
	}
	for _, m := range own.Spec.Rules[0].Matches {
		if *m.Path.Type != gatewayapi.PathMatchExact {
			t.Errorf("%s: a path of the gate is a %s", o.name, *m.Path.Type)
		}
		got = append(got, *m.Path.Value)
	}
	checkRemoved(t, o, own)
	if slices.Sort(expected); len(got) == 0 || !slices.Equal(slices.Sorted(slices.Values(got)), expected) {
		t.Errorf("%s: the gate's own paths are %q, expected %q", o.name, got, expected)
	}
}

// checkRemoved checks that what the gate believes of Envoy isn't the client's own word.
func checkRemoved(t *testing.T, o *objects, r *gatewayapi.HTTPRoute) {
	t.Helper()
	for _, f := range r.Spec.Rules[0].Filters {
		if f.RequestHeaderModifier != nil && slices.Equal(f.RequestHeaderModifier.Remove, []string{"X-Forwarded-Host", "X-Forwarded-Prefix"}) {
			return
		}
	}
	t.Errorf("%s: HTTPRoute %s lets clients choose X-Forwarded-Host", o.name, r.Name)
}

// TestTraefik checks that the Middleware overwrites the headers and passes on the cookies of the snippet, and that the gate's own paths
// are those of the snippet.
func TestTraefik(t *testing.T) {
	t.Parallel()
	o := mustRender(t, "traefik")
	var snippet struct {
		HTTP struct {
			Middlewares map[string]struct {
				ForwardAuth struct{ AuthResponseHeaders, AddAuthCookiesToResponse []string }
			}
			Routers map[string]struct{ Rule string }
		}
	}
	if err := yaml.Unmarshal([]byte(mustSnippet(t, o)), &snippet); err != nil {
		t.Fatal(err)
	}
	expected, got := snippet.HTTP.Middlewares["sallyport"].ForwardAuth, of[*middleware](o)[0].Spec.ForwardAuth
	if len(expected.AuthResponseHeaders) < 20 || !slices.Equal(got.AuthResponseHeaders, expected.AuthResponseHeaders) ||
		!slices.Contains(got.AuthResponseHeaders, "X-User") {
		t.Errorf("the headers are %q, expected %q", got.AuthResponseHeaders, expected.AuthResponseHeaders)
	}
	if len(got.AddAuthCookiesToResponse) == 0 || !slices.Equal(got.AddAuthCookiesToResponse, expected.AddAuthCookiesToResponse) {
		t.Errorf("the cookies are %q, expected %q", got.AddAuthCookiesToResponse, expected.AddAuthCookiesToResponse)
	}
	if got.Address != "http://gate-sallyport.sallyport.svc:8000/_sallyport/ask" || got.TrustForwardHeader == nil || *got.TrustForwardHeader {
		t.Errorf("Traefik asks at %q, and trusts X-Forwarded headers: %v", got.Address, got.TrustForwardHeader)
	}
	for _, router := range snippet.HTTP.Routers {
		routes := of[*ingressRoute](o)[0].Spec.Routes
		if len(routes) != len(snippet.HTTP.Routers) || routes[0].Match != router.Rule || routes[0].Services[0].Name != "gate-sallyport" {
			t.Errorf("the gate's paths are %v, expected %q", routes, router.Rule)
		}
	}
}

// TestIngressNginx checks the annotations by which ingress-nginx asks, and that the gate gets the paths that they name.
func TestIngressNginx(t *testing.T) {
	t.Parallel()
	o := mustRender(t, "ingress-nginx")
	app := named[*networking.Ingress](o, namespace, "gate-sallyport-app")
	const prefix = "nginx.ingress.kubernetes.io/auth-"
	if app.Annotations[prefix+"url"] != "https://$host/oauth2/auth" ||
		app.Annotations[prefix+"signin"] != "https://$host/oauth2/start?rd=$escaped_request_uri" {
		t.Errorf("the annotations are %v", app.Annotations)
	}
	names := regexp.MustCompile(`proxy_set_header (X-Auth-Request-\S+) \$sallyport`).FindAllStringSubmatch(mustSnippet(t, o), -1)
	copied := strings.Split(app.Annotations[prefix+"response-headers"], ",")
	for _, name := range copied {
		if !slices.ContainsFunc(names, func(m []string) bool { return m[1] == name }) {
			t.Errorf("nginx copies %s, which the gate doesn't send: %q", name, names)
		}
	}
	own := named[*networking.Ingress](o, namespace, "gate-sallyport-app-oauth2")
	path := own.Spec.Rules[0].HTTP.Paths[0]
	if len(copied) != 2 || path.Path != "/oauth2" || path.Backend.Service.Name != "gate-sallyport" {
		t.Errorf("nginx copies %q, and the gate has the path %s", copied, path.Path)
	}
	if len(own.Annotations[prefix+"url"]) > 0 {
		t.Error("nginx asks about the gate's own paths")
	}
}
