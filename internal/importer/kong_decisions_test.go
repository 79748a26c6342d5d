package importer_test

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/importer"
)

// The services of the cases; oidc is a plugin that lets nobody pass without a credential.
const (
	oidc = `{name: openid-connect, config: {issuer: "https://idp.example.com", client_id: [app], auth_methods: [bearer]}}`
	head = `
_format_version: "3.0"
services:
- {name: app, url: "http://app:8080"}
- {name: other, url: "http://other:8080"}
- {name: off, url: "http://off:8080", enabled: false}
`
)

// decisions are configurations of Kong, requests without a credential, and what the gate with the imported configuration does: open, login
// (a credential is required), closed (refused by an expression), none (there is no route).
var decisions = []struct{ name, kong, want string }{
	{"a route without plugins", `
routes: [{name: a, service: app, paths: [/a]}]`, `
GET http://x/a open
GET http://x/a/b open
GET http://x/ab none
GET http://x/ none`},

	{"plugins that a request must not pass without", `
routes:
- {name: key, service: app, paths: [/key], plugins: [{name: key-auth}]}
- {name: basic, service: app, paths: [/basic], plugins: [{name: basic-auth, config: {anonymous: guest}}]}
- {name: unknown, service: app, paths: [/unknown], plugins: [{name: company-auth}]}
- {name: function, service: app, paths: [/function], plugins: [{name: pre-function}]}
- {name: ended, service: app, paths: [/ended], plugins: [{name: request-termination}]}
- {name: acl, service: app, paths: [/acl], plugins: [{name: acl, config: {allow: [x]}}]}
- {name: limits, service: app, paths: [/limits], plugins: [{name: rate-limiting}, {name: cors}]}
- {name: off, service: app, paths: [/off], plugins: [{name: key-auth, enabled: false}]}
- {name: network, service: app, paths: [/network], plugins: [{name: ip-restriction, config: {allow: [10.0.0.0/9]}}]}
- {name: size, service: app, paths: [/size], plugins: [{name: request-size-limiting, config: {size_unit: acres}}]}
- {name: both, service: app, paths: [/both], plugins: [{name: key-auth}, ` + oidc + `]}
- {name: either, service: app, paths: [/either], plugins: [{name: key-auth, config: {anonymous: x}}, ` + oidc + `]}
- {name: groups, service: app, paths: [/groups], plugins: [{name: acl, config: {allow: [x]}}, ` + oidc + `]}
- {name: server, service: app, paths: [/server], plugins: [{name: oauth2, config: {enable_client_credentials: true}}, ` + oidc + `]}`, `
GET http://x/key closed
GET http://x/basic closed
GET http://x/unknown closed
GET http://x/function closed
GET http://x/ended closed
GET http://x/acl closed
GET http://x/limits open
GET http://x/off open
GET http://x/network closed
GET http://x/size closed
GET http://x/both closed
GET http://x/either login
GET http://x/groups closed
GET http://x/server closed`},

	{"the most specific plugin counts", `
routes:
- {name: a, service: app, paths: [/a]}
- {name: b, service: app, paths: [/b]}
- {name: c, service: other, paths: [/c]}
- {name: d, paths: [/d]}
plugins:
- {name: key-auth, service: app}
- {name: key-auth, route: b, enabled: false}
- ` + strings.Replace(oidc, "{", "{route: a, service: app, ", 1) + `
- ` + strings.Replace(oidc, "{", "{service: {name: other}, ", 1) + `
- {name: basic-auth, service: missing}`, `
GET http://x/a closed
GET http://x/b closed
GET http://x/c login
GET http://x/d closed`},

	{"a plugin for all", `
routes: [{name: a, service: app, paths: [/a]}, {name: b, service: other, paths: [/b], plugins: [{name: openid-connect, enabled: false}]}]
plugins: [` + oidc + `, {name: acl, enabled: false}]`, `
GET http://x/a login
GET http://x/b login`},

	{"two plugins of one scope", `
routes: [{name: a, service: app, paths: [/a], plugins: [{name: cors}, {name: cors}]}]`, `
GET http://x/a closed`},

	{"methods of one path", `
routes:
- {name: read, service: app, paths: [/a], methods: [GET]}
- {name: write, service: app, paths: [/a], methods: [POST], plugins: [` + oidc + `]}
- {name: away, service: other, paths: [/a], methods: [DELETE]}
- {name: all, service: app, paths: [/b], plugins: [` + oidc + `]}
- {name: open, service: app, paths: [/b], methods: [GET]}`, `
GET http://x/a open
POST http://x/a login
DELETE http://x/a closed
PUT http://x/a closed
GET http://x/b open
POST http://x/b login`},

	{"open and protected methods", `
routes:
- {name: read, service: app, paths: [/a], methods: [GET]}
- {name: write, service: app, paths: [/a], methods: [GET, POST], plugins: [` + oidc + `]}
- {name: rest, service: app, paths: [/c]}
- {name: post, service: app, paths: [/c], methods: [POST], plugins: [` + oidc + `]}`, `
GET http://x/a login
POST http://x/a login
PUT http://x/a closed
GET http://x/c open
POST http://x/c login`},

	{"more kinds of conditions come before a longer path", `
routes:
- {name: delete, service: app, hosts: [x], paths: [/], strip_path: false, methods: [DELETE], plugins: [` + oidc + `]}
- {name: public, service: app, hosts: [x], paths: [/public], strip_path: false}
- {name: header, service: app, paths: [/], methods: [PUT], headers: {x-a: ["1"]}, plugins: [` + oidc + `]}
- {name: host, service: app, hosts: [y], paths: [/]}
- {name: wild, service: app, hosts: ["*.z.test"], paths: [/], methods: [PUT], plugins: [` + oidc + `]}
- {name: narrow, service: other, hosts: [a.z.test], paths: [/n], strip_path: false}`, `
GET http://x/public open
DELETE http://x/public login
DELETE http://x/y login
PUT http://x/public x-a:1 closed
DELETE http://y/ open
PUT http://y/ closed
PUT http://y/ x-a:1 login
GET http://y/ open
PUT http://a.z.test/n closed
GET http://a.z.test/n open
PUT http://b.z.test/n login`},

	{"regular expressions", `
routes:
- {name: a, service: app, paths: ['~/a/\d+$'], strip_path: false, plugins: [` + oidc + `]}
- {name: b, service: app, paths: ['~/b(/.*)?'], strip_path: false}
- {name: c, service: app, paths: ['~/c/(?=x)y'], strip_path: false}
- {name: d, service: app, paths: ['~/d/\d+$']}
- {name: e, service: app, paths: ['~/ef?(?!x)'], strip_path: false}
- {name: home, service: app, hosts: [h], paths: [/, /v1/public]}
- {name: open, service: app, hosts: [h], paths: [/api/public]}
- {name: strips, service: app, hosts: [h], paths: ['~/strips']}
- {name: under, service: app, hosts: [h], paths: [/strips/under]}
- {name: api, service: app, hosts: [h], paths: ['~/api/.*'], strip_path: false, plugins: [` + oidc + `]}
- {name: version, service: app, hosts: [h], paths: ['~/v\d/admin'], strip_path: false, plugins: [` + oidc + `]}`, `
GET http://x/a/12 login
GET http://x/a/b closed
GET http://x/b open
GET http://x/b/c open
GET http://x/c/y closed
GET http://x/d/1 closed
GET http://x/e closed
GET http://h/v1/admin closed
GET http://h/v1/public open
GET http://h/api/public login
GET http://h/api login
GET http://h/strips open
GET http://h/strips/under closed
GET http://h/ open`},

	{"headers and addresses", `
routes:
- {name: v2, service: other, paths: [/a], headers: {X-Version: ["2"]}, plugins: [` + oidc + `]}
- {name: v1, service: app, paths: [/a]}
- {name: only, service: app, paths: [/b], headers: {X-Version: ["2", "~*^3"]}}
- {name: inside, service: app, paths: [/c], sources: [{ip: 10.0.0.0/8}]}
- {name: local, service: app, paths: [/d], sources: [{ip: 127.0.0.1}]}
- {name: port, service: app, paths: [/e], sources: [{ip: 127.0.0.1, port: 80}]}
- {name: sni, service: app, paths: [/f], snis: [x]}
- {name: also, service: app, paths: [/f, /k]}
- {name: snis, service: app, paths: [/k], methods: [GET], snis: [x]}
- {name: new, service: app, paths: [/g], a_new_condition: [x]}
- {name: local, service: app, paths: [/h], plugins: [{name: ip-restriction, config: {deny: [127.0.0.1, "::1"]}}]}
- {name: local, service: app, paths: [/i], plugins: [{name: ip-restriction, config: {whitelist: [127.0.0.0/8]}}]}`, `
GET http://x/a open
GET http://x/a x-version:2 closed
GET http://x/a x-version:02 open
GET http://x/b closed
GET http://x/b x-version:2 open
GET http://x/b x-version:33 open
GET http://x/c closed
GET http://x/d open
GET http://x/e closed
GET http://x/f closed
GET http://x/k closed
POST http://x/k open
GET http://x/g closed
GET http://x/h closed
GET http://x/i open`},

	{"what isn't HTTP or is switched off", `
routes:
- {name: tcp, service: app, protocols: [tcp]}
- {name: off, service: off, paths: [/off]}
- {name: a, service: app, paths: [/a], protocols: [https]}`, `
GET http://x/ none
GET http://x/off none
GET http://x/a open`},

	{"the anonymous consumer", `
routes:
- {name: a, service: app, paths: [/a], plugins: [{name: openid-connect, config: {issuer: "https://idp.example.com", client_id: [app],
   auth_methods: [bearer], anonymous: "11"}}]}
- {name: b, service: app, paths: [/b], plugins: [{name: openid-connect, config: {issuer: "https://idp.example.com", client_id: [app],
   auth_methods: [bearer], anonymous: guest, consumer_claim: [sub]}}]}
consumers: [{username: guest, id: "11", plugins: [{name: rate-limiting}]}, {username: stopped, plugins: [{name: ip-restriction}]}]
plugins:
- {name: request-termination, route: b, consumer: {id: "11"}}`, `
GET http://x/a open
GET http://x/b login`},
}

var verdict = regexp.MustCompile(`(?m)^(passes|refused: \S+ \S+)`)

func TestKongDecisions(t *testing.T) {
	words := map[string]string{"passes": "open", "refused: 401 no_credential": "login", "refused: 403 allow_false:": "closed",
		"refused: 404 no_route": "none"}
	for _, d := range decisions {
		t.Run(d.name, func(t *testing.T) {
			result, err := importer.Import("kong", []importer.Source{{Name: "kong.yaml", Data: []byte(head + d.kong)}})
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(t.TempDir(), importer.ProcessFile)
			if err := os.WriteFile(name, result.Single().Data, 0o600); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(strings.TrimSpace(d.want)) {
				fields := strings.Fields(line)
				o := app.ExplainOptions{Config: config.FromFileIn(name, result.Lookup), Request: fields[0] + " " + fields[1],
					Headers: fields[2 : len(fields)-1]}
				var out strings.Builder
				if _, err := app.Explain(o, nil, &out, io.Discard); err != nil {
					t.Fatalf("%v\n%s", err, result.Single().Data)
				}
				got := verdict.FindString(out.String())
				if want := fields[len(fields)-1]; words[got] != want {
					t.Errorf("%s: expected %s, got %s (%s)\n%s", strings.Join(fields[:len(fields)-1], " "), want, words[got], got,
						result.Single().Data)
				}
			}
		})
	}
}
