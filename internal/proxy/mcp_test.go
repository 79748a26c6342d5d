package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/mcp"
)

// A redirect of an MCP server to its own address leads to the route, and any other stays as it is.
func TestRedirectsOfMCPServers(t *testing.T) {
	var location string
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", strings.ReplaceAll(location, "SELF", "http://"+r.Host))
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	defer up.Close()
	for _, strip := range []bool{false, true} {
		for base, rows := range map[string]map[string][2]string{ // by the path of the upstream: what the server says, and the client gets
			"": {
				"SELF/off/":    {"GATE/off/", "GATE/off/off/"},
				"SELF/x?a=b":   {"GATE/x?a=b", "GATE/off/x?a=b"},
				"SELF/a%2Fb":   {"GATE/a%2Fb", "GATE/off/a%2Fb"},
				"/x":           {"/x", "/x"},
				"https://a/x":  {"https://a/x", "https://a/x"},
				"//a/x":        {"//a/x", "//a/x"},
				"http://%zz/x": {"http://%zz/x", "http://%zz/x"},
			},
			"/server": {
				"SELF/server/off/": {"GATE/off/", "GATE/off/off/"}, "SELF/server": {"GATE", "GATE/off"},
				"SELF/servers": {"GATE/servers", "GATE/off/servers"},
			},
		} {
			front, _ := startTargets(t, UpstreamSettings{}, func(r *Route, _ *Config) {
				r.MCP = &mcp.Route{On: true, Resource: auth.Resource{Base: "/off"}}
				r.Paths, r.StripPath = []string{"/off"}, strip
			}, up.URL+base)
			for said, got := range rows {
				location = said
				want := got[map[bool]int{true: 1}[strip]]
				res, err := http.DefaultTransport.RoundTrip(httptest.NewRequest(http.MethodGet, front.URL+"/off", nil))
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if to := strings.ReplaceAll(res.Header.Get("Location"), front.URL, "GATE"); to != want {
					t.Errorf("strip_path %t, upstream %q: %s became %s, expected %s", strip, base, said, to, want)
				}
			}
		}
	}
}
