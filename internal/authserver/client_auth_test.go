package authserver

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/auth"
)

var cc = form("grant_type", "client_credentials")

// A countingHash is a slow hash that counts its comparisons.
type countingHash struct {
	right string
	runs  *atomic.Int64
}

func (c countingHash) slow() bool { return true }

func (c countingHash) matches(secret string) bool {
	c.runs.Add(1)
	return secret == c.right
}

// slowly replaces the hashes of some clients with slow ones.
func slowly(g *gate, hashes map[string]int) *atomic.Int64 {
	runs := &atomic.Int64{}
	for id, n := range hashes {
		g.clients[id].hashes = nil
		for range n {
			g.clients[id].hashes = append(g.clients[id].hashes, countingHash{appSecret, runs})
		}
	}
	g.Server.secrets = g.process.secrets.forClients(g.clients)
	return runs
}

// A refusal costs the same for every client_id: the response time doesn't reveal which clients exist.
func TestARefusalCostsTheSame(t *testing.T) {
	g := memoryRig(t).gate()
	runs := slowly(g, map[string]int{"app": 1, "other": 3})
	for n, id := range []string{"app", "other", "api", "spa", "nobody"} {
		before := runs.Load()
		g.refused(cc, 401, "invalid_client", basic(id, "wrong"), from(fmt.Sprintf("198.51.100.%d", n)))
		if cost := runs.Load() - before; cost != 3 {
			t.Errorf("%s: %d slow hashes, expected 3", id, cost)
		}
	}
}

// The results of slow hashes are cached.
func TestVerdictsAreRemembered(t *testing.T) {
	r := memoryRig(t)
	g := r.gate()
	runs := slowly(g, map[string]int{"app": 1})
	for range 100 {
		g.granted(cc, basic("app", appSecret))
	}
	for range 5 {
		g.refused(cc, 401, "invalid_client", basic("app", "wrong"))
	}
	if n := runs.Load(); n != 2 {
		t.Errorf("%d slow hashes, expected 2", n)
	}
	r.clock.offset.Add(int64(verifiedFor))
	g.granted(cc, basic("app", appSecret))
	if n := runs.Load(); n != 3 {
		t.Errorf("%d slow hashes after a while, expected 3", n)
	}
	next := r.gate(func(s *Settings) { // a reload removes the secret
		s.Clients[0].ClientSecretHash = []auth.Secret{auth.Secret(sha256Line("another secret"))}
	})
	next.refused(cc, 401, "invalid_client", basic("app", appSecret), from("198.51.100.9"))
}

// During a flood of guesses few requests wait for a slow hash, further ones get 503, and clients with a generated secret are not delayed.
func TestSlowHashesAreBounded(t *testing.T) {
	g := memoryRig(t).gate()
	slowly(g, map[string]int{"app": 1})
	for range cap(g.Server.secrets.slots) {
		g.Server.secrets.slots <- struct{}{}
	}
	var waiting sync.WaitGroup
	for n := range maxWaiting {
		waiting.Go(func() {
			g.serve("token", http.MethodPost, "", cc.Encode(), basic(fmt.Sprint("nobody ", n), "guess"),
				from(fmt.Sprintf("203.0.113.%d", n)))
		})
	}
	await(t, "waiting", func() bool { return g.Server.secrets.waiting.Load() == maxWaiting })
	_, err := g.serve("token", http.MethodPost, "", cc.Encode(), basic("app", appSecret))
	if e := auth.AsError(err); e.Status != 503 || e.RetryAfter == 0 || !strings.Contains(err.Error(), "too many") {
		t.Errorf("got %v, expected 503", err)
	}
	g.granted(cc, basic("other", appSecret))
	<-g.Server.secrets.slots
	waiting.Wait()
	g.granted(cc, basic("app", appSecret))
}

// await waits until a condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestGuessesAreBounded(t *testing.T) {
	r := memoryRig(t)
	g := r.gate()
	guess := func(id, secret, address string) int {
		status, _ := g.post("token", cc, basic(id, secret), from(address))
		return status
	}
	for range 10 {
		if guess("app", "wrong", "192.0.2.1") != 401 {
			t.Fatal("stopped too soon")
		}
	}
	if got := guess("app", appSecret, "192.0.2.1"); got != 429 {
		t.Errorf("after 10 wrong ones: got %d, expected 429", got)
	}
	if guess("other", appSecret, "192.0.2.1") != 429 || guess("app", appSecret, "192.0.2.2") != 200 {
		t.Error("it is the address that waits")
	}
	res, err := g.serve("token", http.MethodPost, "", cc.Encode(), basic("app", appSecret), from("192.0.2.1"))
	if err != nil || res.Answer.Header.Get("Retry-After") == "" || res.Answer.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("got %+v, %v", res, err)
	}
	r.clock.offset.Add(int64(7 * time.Second))
	if guess("app", appSecret, "192.0.2.1") != 200 {
		t.Error("7 seconds later it is still stopped")
	}
	for range 10 { // all unknown addresses count as one
		guess("app", "wrong", "")
	}
	if guess("app", "wrong", "") != 429 || guess("app", "wrong", "192.0.2.3") != 401 {
		t.Error("unknown addresses have no limit, or share it with known ones")
	}
	for range 10 { // a /64 counts as one address
		guess("app", "wrong", "2001:db8::1")
	}
	if guess("app", "wrong", "2001:db8::2") != 429 || guess("app", "wrong", "2001:db8:0:1::1") != 401 {
		t.Error("the /64 is one address")
	}
}

// A client that has authenticated from an address isn't locked out by others: neither by clients at the same address nor by attackers
// at many addresses.
func TestNobodyLocksAClientOut(t *testing.T) {
	g := memoryRig(t).gate()
	guess := func(id, secret, address string) int {
		status, _ := g.post("token", cc, basic(id, secret), from(address))
		return status
	}
	if guess("app", appSecret, "192.0.2.1") != 200 {
		t.Fatal("it isn't right")
	}
	for range 20 {
		guess("other", "wrong", "192.0.2.1")
	}
	for n := range 200 {
		guess("app", "wrong", fmt.Sprintf("198.51.100.%d", n))
	}
	if guess("app", appSecret, "192.0.2.2") != 429 {
		t.Error("an unknown address may still guess its secret")
	}
	if guess("app", appSecret, "192.0.2.1") != 200 {
		t.Error("the client is locked out")
	}
	for range 30 {
		guess("app", "wrong", "192.0.2.1")
	}
	if guess("app", appSecret, "192.0.2.1") != 429 {
		t.Error("its own address has no limit")
	}
}

func TestTheProvisionKeyCanNotBeGuessed(t *testing.T) {
	g := memoryRig(t).gate()
	form := with(asking(), "provision_key", "wrong", "authenticated_userid", "john")
	for range 10 {
		g.post("authorize", form)
	}
	if status, _ := g.post("authorize", with(form, "provision_key", provision)); status != 429 {
		t.Errorf("got %d, expected 429", status)
	}
	if status, _ := g.post("authorize", with(form, "provision_key", provision), from("198.51.100.1")); status != 200 {
		t.Errorf("from elsewhere: got %d", status)
	}
}
