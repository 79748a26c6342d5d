package authserver

import "testing"

const ownResource = origin + base

// TestResource checks which resource a client may name, and that it becomes the audience of the tokens from the authorization request on
// (RFC 8707 §2).
func TestResource(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate(func(s *Settings) { s.Issuer = "https://as.example.com" })
		machine := form("grant_type", "client_credentials", "client_id", "app", "client_secret", appSecret)
		for _, asked := range []string{
			ownResource, ownResource + "/", "https://GATE.example.com/api", "https://gate.example.com:443/api",
			"HTTPS://gate.example.com/api/",
		} {
			access, refresh := g.granted(redeeming(g.code(with(asking(), "resource", asked))))
			g.isFor(access, ownResource)
			access, _ = g.granted(refreshing(refresh))
			g.isFor(access, ownResource)
		}
		twice := with(asking(), "resource", ownResource)
		twice["resource"] = append(twice["resource"], ownResource+"/")
		access, refresh := g.granted(redeeming(g.code(twice)))
		g.isFor(access, ownResource)
		g.refused(with(refreshing(refresh), "resource", origin), 400, "invalid_target")
		access, _ = g.granted(with(refreshing(refresh), "resource", ownResource))
		g.isFor(access, ownResource)

		access, _ = g.granted(redeeming(g.code(asking())))
		g.isFor(access, "https://as.example.com")
		access, _ = g.granted(with(redeeming(g.code(asking())), "resource", ownResource))
		g.isFor(access, ownResource)
		access, _ = g.granted(with(machine, "resource", ownResource))
		g.isFor(access, ownResource)
	})
}

// TestAnotherResource checks that no request gets tokens for a resource that isn't the route.
func TestAnotherResource(t *testing.T) {
	g := memoryRig(t).gate()
	machine := form("grant_type", "client_credentials", "client_id", "app", "client_secret", appSecret)
	for _, other := range []string{
		origin, origin + "/apis", origin + "/api/x", origin + "/Api", origin + "/api//", origin + "/%61pi", ownResource + "?x=1",
		ownResource + "?", ownResource + "#", "http://gate.example.com/api", "https://other.example.com/api",
		"https://john@gate.example.com/api", "https://gate.example.com:8443/api", "/api", "x", "https:gate.example.com/api", "https://%",
		ownResource + " " + origin, "https://other.example.com " + ownResource,
	} {
		a, err := g.browse(with(asking(), "resource", other))
		if q := g.redirected(a, err, appURI); q.Get("error") != "invalid_target" || q.Get("code") != "" {
			t.Errorf("resource %q: the client got %v", other, q)
		}
		g.refused(with(machine, "resource", other), 400, "invalid_target")
		g.refused(with(redeeming(g.code(asking())), "resource", other), 400, "invalid_target")
	}
	two := with(asking(), "resource", ownResource)
	two["resource"] = append(two["resource"], "https://other.example.com")
	a, err := g.browse(two)
	if q := g.redirected(a, err, appURI); q.Get("error") != "invalid_target" {
		t.Errorf("with two resources the client got %v", q)
	}
}

// TestConsentForAResource checks that the consent page keeps the resource, and that consent for one isn't consent for another.
func TestConsentForAResource(t *testing.T) {
	g := memoryRig(t).gate()
	asked := with(asking(), "resource", ownResource)
	a, err := g.browse(asked)
	a, err = g.reply(g.asked(a, err))
	access, _ := g.granted(redeeming(g.redirected(a, err, appURI).Get("code")))
	g.isFor(access, ownResource)
	a, err = g.browse(asked)
	access, _ = g.granted(redeeming(g.redirected(a, err, appURI).Get("code")))
	g.isFor(access, ownResource)
	a, err = g.browse(asking())
	g.asked(a, err)
}

// isFor checks the audience of an access token.
func (g *gate) isFor(token, audience string) {
	g.r.Helper()
	if got := g.alive(token).Introspection["aud"]; got != audience {
		g.r.Errorf("the audience is %v, expected %s", got, audience)
	}
}
