package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sallyport/internal/flow"
)

// load loads a configuration from a text.
func mustLoadText(t *testing.T, text string) *File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sallyport.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestMCPDefaults checks what follows from an mcp block, and that what is written counts.
func TestMCPDefaults(t *testing.T) {
	file := mustLoadText(t, `
oauth2: {scopes: [other]}
oidc: {issuer: "https://idp.example.com", client_id: gate, client_secret: "a secret of the client gate"}
routes:
  - route: {upstream: "http://u:1", hosts: [a.example.com], paths: [/mcp]}
    mcp: {scopes: [tools, files]}
    rules: [{paths: [/mcp/admin], scopes_required: [tools admin]}, {paths: [/mcp/open], auth: off}, {paths: [/mcp/x], methods: [GET]}]
  - route: {upstream: {url: "http://u:1", response_header_timeout: 5s}, hosts: [b.example.com], paths: [/mcp]}
    oidc: {upstream_access_token_header: "x-token", session_audience: mine}
    mcp: {scopes: [tools]}
  - route: {upstream: "http://u:1", hosts: [b.example.com], paths: [/other]}
    mcp: {scopes: [tools], authorization_server: provider}
  - route: {upstream: "http://u:1", hosts: [c.example.com]}
`)
	first, second, byProvider, plain := &file.Routes[0], &file.Routes[1], &file.Routes[2], &file.Routes[3]
	if f := &first.OIDC.Flow; !slices.Equal(f.AuthMethods, flow.MCPMethods(true)) || f.Session.Audience != "mcp" || f.RefreshTokens ||
		first.OIDC.Headers.UpstreamAccessTokenHeader != nil || first.Route.Upstream.ResponseHeaderTimeout != 10*time.Minute {
		t.Errorf("got %v %q %t", f.AuthMethods, f.Session.Audience, f.RefreshTokens)
	}
	if f := &second.OIDC.Flow; f.Session.Audience != "mine" || f.RefreshTokens ||
		*second.OIDC.Headers.UpstreamAccessTokenHeader != "x-token" || second.Route.Upstream.ResponseHeaderTimeout != 5*time.Second {
		t.Error("what is written doesn't count")
	}
	if f := &byProvider.OIDC.Flow; !slices.Equal(f.AuthMethods, flow.MCPMethods(false)) || f.Session.Audience == "mcp" {
		t.Errorf("got %v %q", f.AuthMethods, f.Session.Audience)
	}
	if m := first.OIDC.Flow.MCP; !slices.Equal(m.Known, []string{"tools", "files", "admin", "other"}) || !m.AtRoot || m.Loopback != true {
		t.Errorf("got %+v", m)
	}
	if second.OIDC.Flow.MCP.AtRoot || byProvider.OIDC.Flow.MCP.AtRoot || plain.OIDC.Flow.MCP.On || len(plain.Rules) > 0 {
		t.Error("the metadata of two servers on one host is at its root, or a route without mcp is a server")
	}
	var required [][]string
	for _, rule := range first.Rules {
		required = append(required, rule.ScopesRequired)
	}
	if len(required) != 4 || !slices.Equal(required[0], []string{"tools admin"}) || required[1] != nil ||
		!slices.Equal(required[2], []string{"tools files"}) || !slices.Equal(required[3], []string{"tools files"}) {
		t.Errorf("the rules require %q", required)
	}
}
