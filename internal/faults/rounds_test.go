package faults

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"testing"
	"time"

	"sallyport/internal/redis/redistest"
)

// TestOneRefreshPerRound sends 50 requests at once to two replicas, each time when the access token of their session expires. Each round
// refreshes the session once, and no request is answered without it.
func TestOneRefreshPerRound(t *testing.T) {
	const rounds, requests = 20, 50
	r := newRig(t, fmt.Sprintf("port: %d", redistest.Start(t).Port))
	gates := []*gate{startGate(t, r, firstSecret), startGate(t, r, firstSecret)}
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar, Timeout: 20 * time.Second}
	if res, err := r.provider.LogIn(client, gates[0].url+"/", userName(0), "doe"); text(res, err) != userName(0) {
		t.Fatalf("the login: %v", err)
	}
	begun := r.provider.RefreshCount()
	for round := range rounds {
		time.Sleep(tokenLife) // until it has expired
		var all sync.WaitGroup
		for n := range requests {
			all.Go(func() {
				res, err := client.Get(gates[n%2].url + "/")
				if body := text(res, err); err != nil || res.StatusCode != http.StatusOK || body != userName(0) {
					t.Errorf("round %d: %v %d %s", round, err, status(res), body)
				}
			})
		}
		all.Wait()
		if n := r.provider.RefreshCount() - begun; n != round+1 {
			t.Fatalf("%d refreshes after round %d, expected %d", n, round+1, round+1)
		}
	}
}
