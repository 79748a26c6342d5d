package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/mcp"
)

// matchMCP refuses a request of a page that may not call an MCP server, and sets the rule of one to a server whose rules name tools.
// Pages that may call the server can read every answer.
func (d *Decision) matchMCP() (err error) {
	if d.Route.MCP == nil || d.endpoint != nil {
		return nil
	}
	if d.script, err = d.Route.MCP.Script(&d.Request); err != nil || !d.Route.rules.byTool {
		return err
	}
	tool, err := mcp.Tool(&d.Request)
	if err != nil {
		return err
	}
	d.Rule = d.Route.rules.find(d.Hostname, d.Path, d.Method, tool)
	for _, reading := range d.Readings {
		if d.Route.rules.find(d.Hostname, reading, d.Method, tool) != d.Rule {
			return badPath(errTwoRules)
		}
	}
	return nil
}

// answerPreflight answers a CORS preflight for an MCP server.
func (*Gate) answerPreflight(d *Decision) error {
	if d.script != "" && d.Preflight() {
		d.Answer = d.script.Preflight(mcp.Methods).Answer
	}
	return nil
}

// mcpChallenge returns the challenge of an MCP server: where its metadata is (RFC 9728 §5.1), and every scope that the call needs. A
// client asks for these scopes alone, so with a token that lacks one they include those that it has.
func (d *Decision) mcpChallenge(e *auth.Error) string {
	challenge := d.Route.challenge[0] + fmt.Sprintf(", resource_metadata=%q", d.Route.MCP.MetadataURL(&d.Request))
	scopes := []string{d.Rule.Scope}
	if e.Status == http.StatusForbidden {
		if d.Identity != nil {
			scopes = append([]string{d.Identity.Tokens.Scope}, scopes...)
		}
		scopes = append(scopes, e.Scope)
	}
	if all := auth.MergeScopes(scopes...); len(all) > 0 {
		challenge += fmt.Sprintf(", scope=%q", strings.Join(all, " "))
	}
	return challenge
}

// rewriteLocation replaces the address of the upstream in a redirect by that of the route, under which the client reaches it.
func (d *Decision) rewriteLocation(res *http.Response) {
	if d.Route.MCP == nil || res.Request == nil || res.Request.URL == nil {
		return
	}
	target, err := url.Parse(res.Header.Get("Location"))
	if err != nil || target.Host == "" || target.Host != res.Request.URL.Host && target.Host != res.Request.Host {
		return
	}
	path, base := target.EscapedPath(), strings.TrimSuffix(d.Route.Upstream.url.EscapedPath(), "/")
	if rest, below := strings.CutPrefix(path, base); below && (rest == "" || rest[0] == '/') {
		path = rest
	}
	location := d.Origin + d.Route.stripped(d.target.raw) + path
	if target.RawQuery != "" {
		location += "?" + target.RawQuery
	}
	res.Header.Set("Location", location)
}
