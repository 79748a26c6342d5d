package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/provider"
)

// demoConfig is the template of the gate's configuration in the demo.
var demoConfig = template.Must(template.New("demo").Parse(`listen: {{.Listen}}
admin: {listen: off}
log: {format: text, level: warn, access: false}
routes:
  - route: {upstream: "http://{{.Upstream}}"}
    oidc:
      issuer: http://{{.Issuer}}
      client_id: demo
      client_secret: demo-secret
      scopes: [openid, profile, email]
      roles_claim: [realm_access, roles]
      upstream_id_token_header: X-ID-Token
      upstream_headers:
        - {header: X-User, path: [preferred_username]}
      logout_redirect_uri: /public
    rules:
      - {paths: [/public], auth: off}
      - {paths: [/admin], roles_required: [admin]}
`))

// A demo has the addresses of the servers of the demo, each as host:port.
type demo struct {
	Listen   string // of the gate's listener, as it is configured
	Gate     string // of the gate, as a browser reaches it
	Issuer   string
	Upstream string
}

const demoHelp = `
  Open      http://{{.Gate}}/
  Log in    alice / alice (an admin), or bob / bob

  Without a credential, a request is refused:
    curl -i http://{{.Gate}}/api/whoami
  /public needs no credential:
    curl http://{{.Gate}}/public
  A program sends an access token:
    token=$(curl -s -u demo:demo-secret -d 'grant_type=password&username=alice&password=alice&scope=openid' \
      http://{{.Issuer}}/token | sed 's/.*"access_token" *: *"\([^"]*\)".*/\1/')
    curl -H "Authorization: Bearer $token" http://{{.Gate}}/api/whoami

  Ctrl-C stops the demo.

`

// Demo runs an OpenID Provider, an upstream that shows the requests that it receives, and the gate, until ctx ends. listen is the address
// of the gate.
func Demo(ctx context.Context, listen string, out, log io.Writer) error {
	d := demo{Listen: listen}
	issuer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.Issuer, d.Upstream = issuer.Addr().String(), upstream.Addr().String()
	defer serveDemo(issuer, demoProvider(d.Issuer)).Close()
	defer serveDemo(upstream, provider.Whoami(provider.WhoamiConfig{LogoutPath: "/oauth2/logout", Title: "Sallyport demo"})).Close()
	file, err := d.load()
	if err != nil {
		return err
	}
	s, err := newServer(file, Options{Log: log})
	if err != nil {
		return err
	}
	if err := s.open(file); err != nil {
		return fmt.Errorf("%w (sallyport demo -listen 127.0.0.1:PORT takes another port)", err)
	}
	_, port, _ := net.SplitHostPort(s.doors[0].socket.Addr().String())
	d.Gate = net.JoinHostPort("localhost", port)
	if err := template.Must(template.New("help").Parse(demoHelp)).Execute(out, d); err != nil {
		return err
	}
	return s.serve(ctx, Options{})
}

// serveDemo serves h in the background until the returned Closer is closed.
func serveDemo(l net.Listener, h http.Handler) io.Closer {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l)
	return server
}

// load writes the demo's configuration to a temporary file and loads it.
func (d *demo) load() (*config.File, error) {
	dir, err := os.MkdirTemp("", "sallyport-demo-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "sallyport.yaml")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(demoConfig.Execute(f, d), f.Close()); err != nil {
		return nil, err
	}
	return config.Load(name)
}

// demoProvider returns an OpenID Provider with two users and the gate as its client.
func demoProvider(address string) http.Handler {
	user := func(name, full string, roles ...string) provider.User {
		return provider.User{Username: name, Password: name, Claims: map[string]any{
			"name": full, "email": name + "@example.com", "email_verified": true, "realm_access": map[string]any{"roles": roles},
		}}
	}
	return provider.New(provider.Config{
		Issuer: "http://" + address,
		Clients: []provider.Client{{
			ID: "demo", Secret: "demo-secret", Name: "Sallyport demo",
			RedirectURIs:           []string{"http://localhost/oauth2/callback", "http://127.0.0.1/oauth2/callback"},
			PostLogoutRedirectURIs: []string{"http://localhost/public", "http://127.0.0.1/public"},
		}},
		Users: []provider.User{user("alice", "Alice Adams", "user", "admin"), user("bob", "Bob Brown", "user")},
		Hint:  "Log in as alice with the password alice, or as bob with the password bob.",
	})
}
