package mcp

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// request returns a POST with a body and header fields: name, value, name, value...
func request(body string, fields ...string) *auth.Request {
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(body))
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return &auth.Request{Request: r}
}

func TestTool(t *testing.T) {
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	modern := []string{"Mcp-Protocol-Version", "2026-07-28"}
	later := []string{"Mcp-Protocol-Version", "2027-01-01", "Mcp-Method", "tools/call", "Mcp-Name", "x"}
	earlier := []string{"Mcp-Protocol-Version", "2025-11-25", "Mcp-Method", "tools/call", "Mcp-Name", "echo"}
	named := func(method, name string) []string {
		return append(modern[:2:2], "Mcp-Method", method, "Mcp-Name", name)
	}
	for name, c := range map[string]struct {
		body    string
		fields  []string
		tool    string
		refused bool
	}{
		"named":                         {call, named("tools/call", "echo"), "echo", false},
		"a later revision":              {call, later, "x", false},
		"encoded":                       {call, named("tools/call", "=?base64?w6k=?="), "é", false},
		"half encoded":                  {call, named("tools/call", "=?base64?w6k="), "", true},
		"badly encoded":                 {call, named("tools/call", "=?base64?w6k?="), "", true},
		"another method":                {list, named("tools/list", ""), "", false},
		"a prompt":                      {list, named("prompts/get", "echo"), "", false},
		"no name":                       {call, named("tools/call", ""), "", true},
		"two names":                     {call, append(named("tools/call", "echo"), "Mcp-Name", "drop"), "", true},
		"two methods":                   {call, append(named("tools/list", "echo"), "Mcp-Method", "tools/call"), "", true},
		"two revisions":                 {call, append(named("tools/call", "echo"), "Mcp-Protocol-Version", "2025-11-25"), "", true},
		"an earlier one":                {call, earlier, "", true},
		"no revision":                   {call, []string{"Mcp-Method", "tools/list", "Mcp-Name", ""}, "", true},
		"no date":                       {call, []string{"Mcp-Protocol-Version", "draft", "Mcp-Method", "tools/list"}, "", true},
		"a later word":                  {call, []string{"Mcp-Protocol-Version", "9", "Mcp-Method", "tools/list"}, "", true},
		"an earlier list":               {list, nil, "", false},
		"a response":                    {`{"jsonrpc":"2.0","id":1,"result":{"method":"tools/call"}}`, nil, "", false},
		"an escaped method":             {`{"meth\u006fd":"tools\/call"}`, nil, "", true},
		"a method in capitals":          {`{"METHOD":"tools/call"}`, nil, "", true},
		"a method of the body, doubled": {`{"method":"tools/list","method":"tools/call"}`, nil, "", true},
		"a method that is a list":       {`{"method":["tools/call"]}`, nil, "", true},
		"a batch":                       {"[" + list + "]", nil, "", true},
		"two messages":                  {list + call, nil, "", true},
		"something after it":            {list + "x", nil, "", true},
		"cut":                           {list[:20], nil, "", true},
		"compressed":                    {list, []string{"Content-Encoding", "gzip"}, "", true},
		"too long":                      {`{"method":"tools/list","x":"` + strings.Repeat("x", maxCallBody) + `"}`, nil, "", true},
		"nothing":                       {"", nil, "", false},
		"hidden by Connection":          {call, append(named("tools/list", ""), "Connection", "close, Mcp-Method"), "", true},
		"its revision hidden":           {call, append(named("tools/list", ""), "Connection", "mcp_protocol-version"), "", true},
		"another spelling":              {call, append(named("tools/call", "echo"), "Mcp_Name", "drop"), "", true},
		"an upgrade":                    {call, append(named("tools/call", "echo"), "Upgrade", "websocket"), "", true},
	} {
		t.Run(name, func(t *testing.T) {
			tool, err := Tool(request(c.body, c.fields...))
			if tool != c.tool || (err != nil) != c.refused {
				t.Errorf("got %q, %v", tool, err)
			}
			if err != nil && auth.AsError(err).Status != http.StatusForbidden {
				t.Errorf("the status is %d", auth.AsError(err).Status)
			}
		})
	}
	r := request("")
	r.Body, r.ContentLength = http.NoBody, -1 // of a proxy that only asks
	if _, err := Tool(r); err == nil {
		t.Error("a call of which nothing is known passes")
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		r := request("")
		r.Method = method
		if tool, err := Tool(r); tool != "" || err != nil {
			t.Errorf("%s: %q, %v", method, tool, err)
		}
	}
}

// FuzzBody checks that no body of an earlier revision passes in which a server could find a call of a tool.
func FuzzBody(f *testing.F) {
	for _, body := range []string{
		`{"method":"tools/call"}`, `{"Method":"tools/call"}`, `{"method":"x","METHOD":"tools/call"}`, `[{"method":"tools/call"}]`,
		`{"method":"tools/list"}{"method":"tools/call"}`, `{"m\u0065thod":"tools/call"}`, `{"method":null,"method":"tools/call"}`, `{}`, ``,
		"\ufeff" + `{"method":"tools/call"}`, `{"params":{"method":"tools/call"}}`, `{"method":"tools/call`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if _, err := Tool(request(body)); err != nil || body == "" {
			return
		}
		var message struct{ Method string } // encoding/json takes the last member, in any case of letters
		var exact map[string]any
		rest := json.NewDecoder(strings.NewReader(body))
		for rest.Decode(&message) == nil {
			if strings.EqualFold(message.Method, callTool) {
				t.Fatalf("%q passes", body)
			}
		}
		if json.Unmarshal([]byte(body), &exact) != nil || exact["method"] == callTool {
			t.Fatalf("%q passes", body)
		}
	})
}

func TestScript(t *testing.T) {
	for name, c := range map[string]struct {
		route   Route
		host    string
		origins []string
		script  Script
		refused bool
	}{
		"a program":           {Route{Hosts: true}, "mcp.example.com", nil, "", false},
		"its own page":        {Route{Hosts: true}, "mcp.example.com", []string{"https://mcp.example.com"}, "https://mcp.example.com", false},
		"another page":        {Route{Hosts: true}, "mcp.example.com", []string{"https://evil.example"}, "", true},
		"no page":             {Route{Hosts: true}, "mcp.example.com", []string{"null"}, "", true},
		"an empty one":        {Route{Hosts: true}, "mcp.example.com", []string{""}, "", true},
		"another scheme":      {Route{Hosts: true}, "mcp.example.com", []string{"http://mcp.example.com"}, "", true},
		"two pages":           {Route{Hosts: true}, "mcp.example.com", []string{"https://mcp.example.com", "https://evil.example"}, "", true},
		"this machine":        {Route{}, "localhost", nil, "", false},
		"its address":         {Route{}, "127.0.0.1", nil, "", false},
		"its IPv6 address":    {Route{}, "::1", nil, "", false},
		"a name for it":       {Route{}, "evil.example", nil, "", true},
		"a page of that name": {Route{}, "evil.example", []string{"https://evil.example"}, "", true},
		"a page that may": {Route{Hosts: true, Settings: Settings{Origins: []string{"https://app.example.com"}}}, "mcp.example.com",
			[]string{"https://app.example.com"}, "https://app.example.com", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("")
			r.Hostname, r.Origin = c.host, "https://"+c.host
			if c.origins != nil {
				r.Header["Origin"] = c.origins
			}
			script, err := c.route.Script(r)
			if script != c.script || (err != nil) != c.refused {
				t.Errorf("got %q, %v", script, err)
			}
		})
	}
}
