package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// clusterOfGateway has what a cluster has besides the chart: the Gateway, and the HTTPRoute and Service of an app. The verbs stand for
// the Gateway's port and the Service's.
const clusterOfGateway = `
apiVersion: v1
kind: Namespace
metadata: {name: sallyport}
---
apiVersion: v1
kind: Namespace
metadata: {name: team-a}
---
apiVersion: v1
kind: Namespace
metadata: {name: gateways}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: envoy}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: gateways}
spec:
  gatewayClassName: envoy
  listeners: [{name: http, protocol: HTTP, port: %d, allowedRoutes: {namespaces: {from: All}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: team-a}
spec:
  parentRefs: [{name: public, namespace: gateways}]
  rules: [{backendRefs: [{name: app, port: %[2]d}]}]
---
apiVersion: v1
kind: Service
metadata: {name: app, namespace: team-a}
spec: {ports: [{name: http, port: %[2]d}]}
`

// gatewayValues are values of the chart for this Gateway. The gate itself runs with the test's configuration; the first verb is its port,
// the second says what is protected.
const gatewayValues = `
image: {repository: registry.example.com/sallyport}
config: |
  listen: {address: ":8000", forward_auth: envoy_grpc}
service: {port: %d}
networkPolicy: {from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: envoy-gateway-system}}}]}
gateway:
  enabled: true
  name: public
  namespace: gateways
  extAuth: {enabled: true, %s}
`

// envoyGatewayAsking returns a function that renders the Helm chart, has Envoy Gateway translate its objects as in a cluster, and makes a
// bootstrap of Envoy of the result.
func envoyGatewayAsking(protected string) func(t *testing.T, snippet, dir string, port int, upstream string) []string {
	return func(t *testing.T, snippet, dir string, port int, upstream string) []string {
		t.Helper()
		return gatewayEnvoy(t, protected, snippet, dir, port, upstream)
	}
}

// gatewayEnvoy returns the command of Envoy with the configuration that Envoy Gateway makes of the chart.
func gatewayEnvoy(t *testing.T, protected, snippet, dir string, port int, upstream string) []string {
	t.Helper()
	app, err := strconv.Atoi(upstream[strings.LastIndex(upstream, ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	own := mustWrite(t, filepath.Join(dir, "snippet.yaml"), snippet)
	values := mustWrite(t, filepath.Join(dir, "values.yaml"), fmt.Sprintf(gatewayValues, gatePortOf(t, snippet), protected))
	chart := mustOutput(t, cached(t, "bin/helm"), "template", "gate", filepath.Join(root, "deploy/helm/sallyport"), "-n", "sallyport",
		"-f", values, "--set-file", "gateway.extAuth.snippet="+own)
	objects := withClusterIPs(t, fmt.Sprintf(clusterOfGateway, port, app)+"---\n"+string(chart))
	all := mustWrite(t, filepath.Join(dir, "objects.yaml"), objects)
	dump := mustOutput(t, cached(t, "bin/egctl"), "experimental", "translate", "--from", "gateway-api", "--to", "gateway-api,xds",
		"-o", "json", "-f", all)
	file := mustWrite(t, filepath.Join(dir, "envoy.json"), staticBootstrap(t, dump))
	return []string{cached(t, "envoy/envoy"), "-c", file, "--disable-hot-restart", "--concurrency", "1", "-l", "warning"}
}

func mustOutput(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// gatePortOf returns the gate's port in a snippet for Envoy.
func gatePortOf(t *testing.T, snippet string) int {
	t.Helper()
	_, after, _ := strings.Cut(snippet, "port_value: ")
	port, err := strconv.Atoi(after[:max(0, strings.Index(after, "}"))])
	if err != nil {
		t.Fatalf("the snippet has no port: %v\n%s", err, snippet)
	}
	return port
}

// withClusterIPs gives each Service the address of this machine, as a cluster gives it one of its own.
func withClusterIPs(t *testing.T, manifests string) string {
	t.Helper()
	var out strings.Builder
	for in := yaml.NewDecoder(strings.NewReader(manifests)); ; {
		var object map[string]any
		if err := in.Decode(&object); err == io.EOF {
			return out.String()
		} else if err != nil {
			t.Fatal(err)
		}
		if object == nil {
			continue
		}
		if object["kind"] == "Service" {
			object["spec"].(map[string]any)["clusterIP"] = "127.0.0.1"
		}
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n" + string(text))
	}
}

// A translation is the output of egctl translate, as far as it is used: the conditions of policies and routes, and what Envoy Gateway
// would send to Envoy.
type translation struct {
	SecurityPolicies, ClientTrafficPolicies, HTTPRoutes []struct{ Status any }

	XDS map[string]struct {
		Configs []struct {
			DynamicListeners []struct {
				ActiveState struct{ Listener map[string]any }
			}
			DynamicRouteConfigs    []struct{ RouteConfig map[string]any }
			DynamicActiveClusters  []struct{ Cluster map[string]any }
			DynamicEndpointConfigs []struct{ EndpointConfig map[string]any }
		}
	}
}

// staticBootstrap makes a bootstrap of a translation, in which what Envoy would fetch is static.
func staticBootstrap(t *testing.T, dump []byte) string {
	t.Helper()
	var got translation
	if err := json.Unmarshal(dump, &got); err != nil {
		t.Fatalf("egctl's output: %v\n%s", err, dump)
	}
	if len(got.SecurityPolicies) == 0 || len(got.ClientTrafficPolicies) != 1 || len(got.HTTPRoutes) != 2 ||
		bytes.Contains(dump, []byte(`"status":"False"`)) || bytes.Contains(dump, []byte(`"status": "False"`)) {
		t.Fatalf("Envoy Gateway doesn't accept the objects of the chart:\n%s", dump)
	}
	routes, endpoints := map[any]map[string]any{}, map[any]map[string]any{}
	var listeners, clusters []map[string]any
	for _, c := range got.XDS["gateways/public"].Configs {
		for _, r := range c.DynamicRouteConfigs {
			routes[r.RouteConfig["name"]] = untyped(r.RouteConfig)
		}
		for _, e := range c.DynamicEndpointConfigs {
			endpoints[e.EndpointConfig["clusterName"]] = untyped(e.EndpointConfig)
		}
		for _, d := range c.DynamicActiveClusters {
			clusters = append(clusters, untyped(d.Cluster))
		}
		for _, d := range c.DynamicListeners {
			if l := untyped(d.ActiveState.Listener); l["defaultFilterChain"] != nil { // the others are Envoy Gateway's own
				listeners = append(listeners, l)
			}
		}
	}
	for _, c := range clusters {
		c["type"], c["loadAssignment"] = "STATIC", endpoints[c["name"]]
		delete(c, "edsClusterConfig")
	}
	for _, l := range listeners {
		l["address"].(map[string]any)["socketAddress"].(map[string]any)["address"] = "127.0.0.1"
		makeRoutesStatic(t, l, routes)
	}
	text, err := json.Marshal(map[string]any{"staticResources": map[string]any{"listeners": listeners, "clusters": clusters}})
	if err != nil || len(listeners) != 1 || len(clusters) != 3 {
		t.Fatalf("%d listeners and %d clusters, %v:\n%s", len(listeners), len(clusters), err, dump)
	}
	return string(text)
}

func untyped(message map[string]any) map[string]any {
	delete(message, "@type")
	return message
}

// makeRoutesStatic replaces the name of a listener's routes by the routes.
func makeRoutesStatic(t *testing.T, listener map[string]any, routes map[any]map[string]any) {
	t.Helper()
	for _, filter := range listener["defaultFilterChain"].(map[string]any)["filters"].([]any) {
		manager := filter.(map[string]any)["typedConfig"].(map[string]any)
		name := manager["rds"].(map[string]any)["routeConfigName"]
		if routes[name] == nil {
			t.Fatalf("Envoy Gateway has no routes %v", name)
		}
		manager["routeConfig"] = routes[name]
		delete(manager, "rds")
	}
}
