package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReloadUnderLoad reloads twenty times under load. Requests with a session, with a token and without a credential must get the
// same responses as before. Each reload adds a rule, which shows that the reload has happened.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	c := config{routes: []route{{upstream: up}}} // sessions in memory and a generated secret, which survive reloads
	g := startGate(t, c)
	john, token := newVisitor(t, g), keycloak.mustServiceToken(t, "sallyport")
	john.logIn(g.url+"/", "john")
	g.registerSecrets(token)

	l := startLoad(t)
	for range 4 {
		l.run(func() string {
			a, err := john.do(john.request(http.MethodGet, g.url+"/load", "", navigation...))
			return verdict(a, err, "john")
		})
		l.run(func() string {
			a, err := john.do(john.request(http.MethodGet, g.url+"/public/load", ""))
			return verdict(a, err, "")
		})
	}
	program := newVisitor(t, g)
	for range 2 {
		l.run(func() string {
			a, err := program.do(program.request(http.MethodGet, g.url+"/load", "", "Authorization", "Bearer "+token))
			return verdict(a, err, "service-account-service")
		})
	}
	for i := range 20 {
		marker := fmt.Sprintf("/reload-%d", i)
		if a := program.call(g.url + marker); a.status != http.StatusUnauthorized {
			t.Fatalf("%s is answered %d before its reload, want 401", marker, a.status)
		}
		c.routes[0].rules = []string{"{paths: [" + marker + "], auth: off}"}
		g.configure(t, c)
		g.hangUp(t)
		mustAwait(t, 20*time.Second, "the reload that opens "+marker, func() bool {
			return program.call(g.url+marker).status == http.StatusOK
		})
	}
	for kind, n := range l.stop() {
		if kind != "200" {
			t.Errorf("%d answers were: %s", n, kind)
		}
	}
}

// TestReloadOfBadFile checks that an invalid file leaves the old configuration active and that the log has its errors.
func TestReloadOfBadFile(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	v := newVisitor(t, g)
	v.logIn(g.url+"/", "john")
	file, err := os.ReadFile(g.file)
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.Replace(string(file), "auth: off", "auth: of", 1)
	if err := os.WriteFile(g.file, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	g.hangUp(t)
	mustAwait(t, 20*time.Second, "a word about the bad file", func() bool { return strings.Contains(g.log.String(), g.file+":") })
	if a := v.browse(g.url + "/"); a.status != http.StatusOK {
		t.Errorf("john's session gets %d after the refused reload", a.status)
	}
	if a := v.call(g.url + "/public/x"); a.status != http.StatusOK {
		t.Errorf("/public gets %d after the refused reload", a.status)
	}
}

// TestSIGTERMDrains checks that after SIGTERM the gate isn't ready, finishes requests in flight and exits with status 0.
func TestSIGTERMDrains(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	release := up.hold("/public/slow")
	defer release()
	v := newVisitor(t, g)
	done := make(chan answer, 1)
	slow := v.request(http.MethodGet, g.url+"/public/slow", "")
	go func() {
		a, err := v.do(slow)
		if err != nil {
			t.Error(err)
		}
		done <- a
	}()
	mustAwait(t, 20*time.Second, "the slow request's arrival", func() bool { return up.arrived("/public/slow") })

	if err := g.proc.signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	mustAwait(t, 20*time.Second, "/readyz says 503", func() bool { return answers(g.admin+"/readyz", http.StatusServiceUnavailable) })
	mustAwait(t, 20*time.Second, "new connections are refused", func() bool {
		_, err := newVisitor(t, g).do(v.request(http.MethodGet, g.url+"/public/new", ""))
		return err != nil
	})
	if !g.proc.running() {
		t.Fatal("the process ended with a request in flight")
	}
	release()
	if a := <-done; a.status != http.StatusOK {
		t.Errorf("the request in flight is answered %d, want 200", a.status)
	}
	select {
	case <-g.proc.ended:
		if g.proc.status != nil {
			t.Errorf("the process ended with %v, want status 0", g.proc.status)
		}
	case <-time.After(20 * time.Second):
		t.Error("the process goes on after its last request")
	}
}
