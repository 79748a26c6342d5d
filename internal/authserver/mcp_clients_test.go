package authserver

import (
	"encoding/json"
	"net/url"
	"testing"
)

// What clients in the field send, as their makers document it or as it was seen: their registration, and the parameters of their
// requests that differ. OWN is the URL of the server.
var fieldClients = map[string]struct {
	registration string
	redirect     string // of the authorization request
	scope        string
	resource     string // empty: none
	prompt       string
	onRefresh    string // the scope of the refresh request
}{
	"Claude Code": {
		registration: `{"client_name":"Claude Code (tools)","redirect_uris":["http://localhost:54545/callback"],
			"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}`,
		redirect: "http://localhost:61023/callback", scope: "tools", resource: "OWN",
	},
	"Claude": {
		registration: `{"client_name":"Claude","redirect_uris":["https://claude.ai/api/mcp/auth_callback"],"scope":"claudeai",
			"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"client_secret_post"}`,
		redirect: "https://claude.ai/api/mcp/auth_callback", scope: "claudeai", resource: "OWN/", onRefresh: "claudeai",
	},
	"ChatGPT": {
		registration: `{"client_name":"ChatGPT","redirect_uris":["https://chatgpt.com/connector_platform_oauth_redirect"],
			"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none",
			"application_type":"web"}`,
		redirect: "https://chatgpt.com/connector_platform_oauth_redirect", scope: "tools offline_access", resource: "OWN", prompt: "consent",
	},
	"VS Code": {
		registration: `{"client_name":"Visual Studio Code","client_uri":"https://code.visualstudio.com",
			"grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],"response_types":["code"],
			"redirect_uris":["https://insiders.vscode.dev/redirect","https://vscode.dev/redirect","http://localhost/","http://127.0.0.1/",
			"http://localhost:33418/","http://127.0.0.1:33418/"],"token_endpoint_auth_method":"none","application_type":"native"}`,
		redirect: "http://127.0.0.1:33418/", scope: "tools", resource: "OWN", prompt: "select_account",
	},
	"Cursor": {
		registration: `{"client_name":"Cursor","client_uri":"https://cursor.com","grant_types":["authorization_code","refresh_token"],
			"redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback","https://www.cursor.com/agents/mcp/oauth/callback",
			"http://localhost:8787/callback"],"response_types":["code"],"token_endpoint_auth_method":"none"}`,
		redirect: "cursor://anysphere.cursor-mcp/oauth/callback",
	},
	"Grok": {
		registration: `{"client_name":"Grok","redirect_uris":["https://grok.com/connectors-oauth-exchange-code/"],
			"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"}`,
		redirect: "https://grok.com/connectors-oauth-exchange-code/", scope: "openid profile offline_access", resource: "OWN",
	},
	"Inspector": {
		registration: `{"client_name":"MCP Inspector","client_uri":"https://github.com/modelcontextprotocol/inspector",
			"redirect_uris":["http://localhost:6274/oauth/callback"],"grant_types":["authorization_code","refresh_token"],
			"response_types":["code"],"token_endpoint_auth_method":"none","scope":"tools"}`,
		redirect: "http://localhost:6274/oauth/callback", scope: "tools", resource: "OWN",
	},
}

// Each client registers, gets a token with the scope of the server for its URL, and refreshes it.
func TestClientsInTheField(t *testing.T) {
	for name, c := range fieldClients {
		t.Run(name, func(t *testing.T) {
			g := memoryRig(t).asMCP().gate()
			id := g.register(c.registration)
			var sent clientMetadata
			if err := json.Unmarshal([]byte(c.registration), &sent); err != nil {
				t.Fatal(err)
			}
			_, answer := g.registration(c.registration)
			if answer.String("token_endpoint_auth_method") != "none" || answer["client_secret"] != nil ||
				len(answer.Values([]string{"redirect_uris"})) != len(sent.RedirectURIs) {
				t.Errorf("got %v", answer)
			}
			g.login(1)
			own := origin + base
			resource := map[string]string{"OWN": own, "OWN/": own + "/"}[c.resource]
			ask := toolAsking(id, "redirect_uri", c.redirect, "scope", c.scope, "resource", resource, "prompt", c.prompt)
			for parameter, values := range ask {
				if values[0] == "" {
					delete(ask, parameter)
				}
			}
			redeem := with(tool(id, redeeming(g.consented(ask))), "redirect_uri", c.redirect)
			refresh := func(token string) url.Values { return tool(id, refreshing(token)) }
			if resource != "" {
				redeem.Set("resource", resource)
			}
			_, answer = g.post("token", redeem)
			if i := g.alive(answer.String("access_token")); i.Introspection["aud"] != own || answer.String("scope") != "tools" {
				t.Errorf("got %v for %v", answer, i.Introspection["aud"])
			}
			again := refresh(answer.String("refresh_token"))
			if c.onRefresh != "" {
				again.Set("scope", c.onRefresh)
			}
			if resource != "" {
				again.Set("resource", resource)
			}
			_, answer = g.post("token", again)
			if i := g.alive(answer.String("access_token")); i.Introspection["aud"] != own || answer.String("scope") != "tools" {
				t.Errorf("a refresh got %v", answer)
			}
		})
	}
}
