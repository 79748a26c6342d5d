package authserver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"sallyport/internal/auth"
)

// A person's consent counts for the browser in which it was asked for, and for nobody else.
func TestAnotherBrowserFinishesAConsent(t *testing.T) {
	onBothAsMCP(t, func(r *rig) {
		g := r.gate()
		id := g.register(`{"redirect_uris":["https://app.example.com/cb"]}`)
		g.login(1)
		a, err := g.browse(toolAsking(id))
		sealed := g.asked(a, err)
		jane := *g.user
		jane.Subject, jane.Tokens.IDToken = "jane", "jane's"
		elsewhere := *g.user
		elsewhere.Issuer, elsewhere.Tokens.IDToken = "https://other.example.com", "elsewhere"
		john := g.user
		for _, other := range []*auth.Identity{&jane, &elsewhere, nil} {
			g.user = other
			g.stale(g.reply(sealed))
		}
		g.user = john
		res, err := g.serve("authorize", http.MethodPost, "", form("consent", sealed).Encode(), header("Sec-Fetch-Site", "cross-site"))
		if err == nil {
			r.Errorf("another site's answer is taken: %+v", res.Answer)
		}
		a, err = g.reply(sealed)
		g.redirected(a, err, toolURI+"?")
	})
}

// Who has a code of another client gets nothing for it, and neither does anyone after that.
func TestAStolenCode(t *testing.T) {
	onBothAsMCP(t, func(r *rig) {
		g := r.gate()
		id := g.register(`{"redirect_uris":["https://app.example.com/cb"]}`)
		thief := g.register(`{"redirect_uris":["https://app.example.com/cb"],"client_name":"A thief"}`)
		for n, steal := range []func(code string) url.Values{
			func(code string) url.Values {
				return tool(id, with(redeeming(code), "code_verifier", strings.Repeat("x", 43)))
			},
			func(code string) url.Values { return with(tool(id, redeeming(code)), "code_verifier", "") },
			func(code string) url.Values {
				return with(tool(id, redeeming(code)), "redirect_uri", "https://evil.example/cb")
			},
		} {
			g.login(n)
			code := g.consented(toolAsking(id))
			g.refused(tool(thief, redeeming(code)), 400, "invalid_grant")
			g.refused(steal(code), 400, "invalid_grant")
			g.refused(tool(id, redeeming(code)), 400, "invalid_grant")
		}
		g.login(9)
		code := g.consented(toolAsking(id))
		access, refresh := g.granted(tool(id, redeeming(code)))
		g.refused(tool(thief, refreshing(refresh)), 400, "invalid_grant")
		g.refused(tool(id, redeeming(code)), 400, "invalid_grant") // used twice
		g.dead(access)
		g.refused(tool(id, refreshing(refresh)), 400, "invalid_grant")
	})
}

// A bad MCP server that pretends to be a client of this one gets no token for itself, and no code without a person who sees its host.
func TestABadServerInTheMiddle(t *testing.T) {
	g := memoryRig(t).asMCP().gate()
	id := g.register(`{"redirect_uris":["https://bad.example/cb"],"client_name":"Claude"}`)
	g.login(1)
	ask := toolAsking(id, "redirect_uri", "https://bad.example/cb")
	a, err := g.browse(with(ask, "resource", "https://bad.example/mcp"))
	if q := g.redirected(a, err, "https://bad.example/cb"); q.Get("error") != "invalid_target" || q.Get("iss") != origin+base {
		t.Errorf("got %v", q)
	}
	a, err = g.browse(with(ask, "prompt", "none"))
	if q := g.redirected(a, err, "https://bad.example/cb"); q.Get("code") != "" {
		t.Errorf("got %v", q)
	}
	a, err = g.browse(ask)
	if g.asked(a, err); !strings.Contains(a.Page.Text, "https://bad.example") || !strings.Contains(a.Page.Text, origin+base) {
		t.Errorf("the page says %s", a.Page.Text)
	}
	// the redirect URI of another client of that name
	if _, err := g.browse(with(ask, "redirect_uri", "https://claude.ai/api/mcp/auth_callback")); err == nil {
		t.Error("the redirect URI of another client is taken")
	}
}

// A name that leads to a public address and then to an inner one (DNS rebinding) leads nowhere, and neither does a proxy of the
// environment.
func TestRebinding(t *testing.T) {
	s, fetching := newDocumentServer(t)
	s.says(described("https://client.example/x", ""))
	var answers atomic.Pointer[[4]byte]
	fetching.Loopback, fetching.Resolver = false, startNames(t, &answers)
	d := newDocuments(time.Now)
	d.reach(fetching)
	if d.http.Transport.(*http.Transport).Proxy != nil {
		t.Error("documents are fetched through a proxy, whose connections nothing checks")
	}
	_, port, _ := strings.Cut(s.Listener.Addr().String(), ":")
	for _, address := range [][4]byte{{169, 254, 169, 254}, {127, 0, 0, 1}, {10, 0, 0, 1}, {0, 0, 0, 0}} {
		answers.Store(&address)
		_, err := d.get(t.Context(), "https://client.example:"+port+"/x")
		if err == nil || !strings.Contains(err.Error(), "isn't a public address") {
			t.Errorf("%v: got %v", address, err)
		}
	}
	if s.asked.Load() > 0 {
		t.Error("the server was asked")
	}
}

// startNames starts a name server that answers every question with one address, and returns a resolver that asks it.
func startNames(t *testing.T, answer *atomic.Pointer[[4]byte]) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			var m dnsmessage.Message
			if err != nil || m.Unpack(b[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: *answer.Load()},
				}}
			}
			if packed, err := m.Pack(); err == nil {
				conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// A registered redirect URI can't make the consent page show another host than the one that gets the code.
func TestTheHostOnThePage(t *testing.T) {
	g := memoryRig(t).asMCP().gate()
	for _, uri := range []string{
		"https://claude.ai%E2%81%84api.evil.example/cb", "https://cl%D0%B0ude.ai/cb", "https://%E2%80%AEevil.example/cb",
		"https://claude.ai%2f@evil.example/cb", "app://claude.ai%2Fx/cb", "https://cl\u0430ude.ai/cb",
	} {
		status, answer := g.registration(`{"client_name":"Claude","redirect_uris":["` + uri + `"]}`)
		if status != http.StatusBadRequest || answer.String("error") != "invalid_redirect_uri" {
			t.Errorf("%s: got %d %v", uri, status, answer)
		}
	}
	for _, id := range []string{"https://cl%D0%B0ude.ai/x", "https://cl\u0430ude.ai/x", "https://claude.ai%2fx.evil.example/x"} {
		if u := documentURL(id); u != nil {
			t.Errorf("%s is taken for a document of %s", id, u.Host)
		}
	}
}

// A link to the authorization endpoint sends nobody to the redirect URI of a client that registered itself, before a login.
func TestNoOpenRedirect(t *testing.T) {
	g := memoryRig(t).asMCP().gate()
	id := g.register(`{"redirect_uris":["https://evil.example/phish"]}`)
	g.user = nil
	for _, pairs := range [][]string{{"response_type", "x"}, {"prompt", "none"}, {"resource", "https://x"}, {"code_challenge", "x"}} {
		a, err := g.browse(toolAsking(id, append(pairs, "redirect_uri", "https://evil.example/phish")...))
		if err == nil {
			t.Errorf("%v: got %d %s", pairs, a.Status, a.Header.Get("Location"))
		}
	}
}

// The form of one route is worth nothing at another.
func TestTheConsentOfAnotherRoute(t *testing.T) {
	r := memoryRig(t).asMCP()
	g := r.gate()
	a, err := g.browse(asking())
	sealed := g.asked(a, err)
	g.use(g.Server.at("/other", g.users()))
	g.stale(g.reply(sealed))
}

// A grant of an MCP server is refreshed there alone, where the provider is asked, also if another route has the same issuer.
func TestARefreshElsewhere(t *testing.T) {
	r := memoryRig(t).asMCP()
	issuer := func(s *Settings) { s.Issuer = origin + base }
	g := r.gate(issuer)
	g.login(1)
	a, err := g.browse(asking())
	a, err = g.reply(g.asked(a, err))
	_, refresh := g.granted(redeeming(g.redirected(a, err, appURI+"?").Get("code")))
	other := r.gate(issuer)
	other.use(other.Server.at("/other", other.users()))
	other.refused(refreshing(refresh), 400, "invalid_grant")
	g.granted(refreshing(refresh))
}

// Logins without an ID token are told apart, too.
func TestLoginsWithoutIDToken(t *testing.T) {
	g := memoryRig(t).asMCP().gate()
	id := g.register(`{"redirect_uris":["https://app.example.com/cb"]}`)
	for n, subject := range []string{"john", "jane", "john"} {
		g.login(n)
		g.user.Subject, g.user.Tokens.IDToken = subject, ""
		g.consented(toolAsking(id))
		if _, err := g.browse(toolAsking(id)); !errors.Is(err, auth.ErrNoCredential) {
			t.Errorf("%s: a login serves two grants: %v", subject, err)
		}
	}
}
