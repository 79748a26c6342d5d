package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/freeport"
)

// oauth2ProxyServer is a server of an nginx configuration as people have it for oauth2-proxy. Its arguments are host, port, gate and
// upstream.
const oauth2ProxyServer = `
	server {
		listen 127.0.0.1:%[2]d;
		server_name %[1]s;
		location /oauth2/ {
			proxy_pass %[3]s;
			proxy_set_header Host $host:$server_port;
			proxy_set_header X-Real-IP $remote_addr;
			proxy_set_header X-Auth-Request-Redirect $request_uri;
		}
		location = /oauth2/auth {
			proxy_pass %[3]s;
			proxy_set_header Host $host:$server_port;
			proxy_set_header X-Real-IP $remote_addr;
			proxy_set_header X-Forwarded-Uri $request_uri;
			proxy_set_header Content-Length "";
			proxy_pass_request_body off;
		}
		location / {
			auth_request /oauth2/auth;
			error_page 401 =403 /oauth2/sign_in;
			auth_request_set $user $upstream_http_x_auth_request_user;
			auth_request_set $email $upstream_http_x_auth_request_email;
			proxy_set_header X-User $user;
			proxy_set_header X-Email $email;
			auth_request_set $auth_cookie $upstream_http_set_cookie;
			add_header Set-Cookie $auth_cookie;
			proxy_pass %[4]s;
		}
	}
`

// TestOAuth2ProxyDropIn checks that an nginx configuration for oauth2-proxy works with the gate in its place: the page with the link, the
// login that ends at the page that was asked for, the headers, the logout. One login serves two hosts, by the domain of its cookie.
func TestOAuth2ProxyDropIn(t *testing.T) {
	t.Parallel()
	const realm, domain = "sallyport", "app.localhost"
	port, up := freeport.Port(), startUpstream(t)
	origin := func(name string) string { return fmt.Sprintf("http://%s.%s:%d", name, domain, port) }
	representation := keycloak.admin.mustFindClient(t, realm, "app")
	for _, name := range []string{"id", "access", "protocolMappers"} {
		delete(representation, name)
	}
	representation["redirectUris"] = []string{origin("one") + "/*", origin("two") + "/*"}
	client := keycloak.admin.mustClient(t, realm, representation)
	var routes []route
	for _, name := range []string{"one", "two"} {
		routes = append(routes, route{
			more:     fmt.Sprintf("hosts: [%s.%s], public_url: %q", name, domain, origin(name)),
			upstream: up, client: client, rulesOff: true, oidc: []string{
				"audience_required: any", "allow_insecure_http: true",
				"upstream_headers: [{header: X-Auth-Request-User, path: [preferred_username]}, " +
					"{header: X-Auth-Request-Email, path: [email]}]",
				fmt.Sprintf("session: {storage: memory, secret: %q, cookie_domain: %s}", sessionSecret, domain),
			},
		})
	}
	g := startGate(t, config{trusted: true, asks: "oauth2_proxy", routes: routes})
	var servers strings.Builder
	for _, name := range []string{"one", "two"} {
		fmt.Fprintf(&servers, oauth2ProxyServer, name+"."+domain, port, g.url, up.url)
	}
	v := newVisitor(t)
	runNginx(t, "proxy_buffer_size 64k;\n\tproxy_buffers 4 64k;\n\tproxy_busy_buffers_size 64k;\n"+servers.String(), func() bool {
		_, err := v.do(v.request(http.MethodGet, urlOf(port)+"/oauth2/auth", ""))
		return err == nil
	})

	john := newPerson(t, g)
	tab := john.newPage()
	tab.open(origin("one") + deepLink)
	if got := tab.status(); got != http.StatusForbidden {
		t.Errorf("without a login the page is answered %d", got)
	}
	tab.shoot("oauth2-proxy-sign-in")
	tab.click("main a, a")
	tab.submit("john", "doe")
	tab.waitURL(origin("one") + deepLink)
	sent := up.mustArrival(t, deepLink).header
	if sent.Get("X-User") != "john" || sent.Get("X-Email") != "john@example.com" {
		t.Errorf("the upstream received X-User %q and X-Email %q", sent.Get("X-User"), sent.Get("X-Email"))
	}
	tab.open(origin("two") + "/other")
	if got := tab.text("#user"); got != "john" {
		t.Errorf("on the second host the upstream says hello to %q", got)
	}
	tab.open(origin("two") + "/oauth2/sign_out")
	for _, name := range []string{"one", "two"} {
		tab.open(origin(name) + "/after")
		if got := tab.status(); got != http.StatusForbidden {
			t.Errorf("after the logout the page on %s is answered %d", name, got)
		}
	}
}
