package authserver

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/auth"
)

var cc = form("grant_type", "client_credentials")

// A counting hash is slow, and says how often it ran.
type counting struct {
	right string
	runs  *atomic.Int64
}

func (c counting) slow() bool { return true }

func (c counting) matches(secret string) bool {
	c.runs.Add(1)
	return secret == c.right
}

// slowly gives some clients of a gate slow hashes instead of theirs.
func slowly(g *gate, hashes map[string]int) *atomic.Int64 {
	runs := &atomic.Int64{}
	for id, n := range hashes {
		g.clients[id].hashes = nil
		for range n {
			g.clients[id].hashes = append(g.clients[id].hashes, counting{appSecret, runs})
		}
	}
	g.Server.secrets = g.kept.secrets.of(g.clients)
	return runs
}

// A refusal costs the same, whoever it is for: time doesn't tell which clients there are.
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

// A slow hash isn't run for each request.
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
	next := r.gate(func(s *Settings) { // a reload takes the secret away
		s.Clients[0].ClientSecretHash = []auth.Secret{auth.Secret(sha256Line("another secret"))}
	})
	next.refused(cc, 401, "invalid_client", basic("app", appSecret), from("198.51.100.9"))
}

// While slow hashes are busy with a flood of guesses, few wait and the others are told so; and clients with a generated
// secret notice nothing.
func TestSlowHashesAreBounded(t *testing.T) {
	g := memoryRig(t).gate()
	slowly(g, map[string]int{"app": 1})
	for range cap(g.Server.secrets.slots) {
		g.Server.secrets.slots <- struct{}{}
	}
	var waiting sync.WaitGroup
	for n := range maxWaiting {
		waiting.Go(func() {
			g.serve("token", http.MethodPost, "", cc.Encode(), basic(fmt.Sprint("nobody ", n), "guess"), from(fmt.Sprintf("203.0.113.%d", n)))
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
	for range 10 { // so are all whose address is unknown
		guess("app", "wrong", "")
	}
	if guess("app", "wrong", "") != 429 || guess("app", "wrong", "192.0.2.3") != 401 {
		t.Error("unknown addresses guess without end, or spend what others have")
	}
	for range 10 { // an IPv6 network is one guesser
		guess("app", "wrong", "2001:db8::1")
	}
	if guess("app", "wrong", "2001:db8::2") != 429 || guess("app", "wrong", "2001:db8:0:1::1") != 401 {
		t.Error("the /64 is one address")
	}
}

// A client that has been right from an address isn't locked out by others: neither by its neighbours nor by a flood from
// everywhere.
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
		t.Error("a stranger may still guess at it")
	}
	if guess("app", appSecret, "192.0.2.1") != 200 {
		t.Error("the client is locked out")
	}
	for range 30 {
		guess("app", "wrong", "192.0.2.1")
	}
	if guess("app", appSecret, "192.0.2.1") != 429 {
		t.Error("from its own address there is no end of guesses")
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

func TestWhatIsRememberedOfGuessesIsBounded(t *testing.T) {
	g := newGuesses(time.Now)
	for n := range 3 * maxAddresses {
		address := fmt.Sprintf("2001:db8:%x:%x::1", n>>16, n&0xffff)
		taken, _ := g.begin(netip.MustParseAddr(address), fmt.Sprint("client ", n))
		if n%3 == 0 {
			taken.right()
		}
	}
	if len(g.addresses) > maxAddresses || len(g.clients) > maxGuessed || len(g.known) > maxGuessed {
		t.Errorf("%d addresses, %d clients, %d known ones", len(g.addresses), len(g.clients), len(g.known))
	}
}
