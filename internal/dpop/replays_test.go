package dpop

import (
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"sallyport/internal/dpop/dpoptest"
	"sallyport/internal/redis/redistest"
)

// newUser returns the number of another request.
func newUser() uint64 { return mathrand.Uint64() }

// TestReplay checks that a proof is used once, as long as it is valid.
func TestReplay(t *testing.T) {
	r, key := newRig(), dpoptest.NewKey()
	ahead := r.now.Add(r.Tolerance)
	proof := key.Proof("GET", orders, token, dpoptest.At(ahead))
	check(t, r.verify(t, key.Thumbprint(), proof), "")
	for ; !r.now.After(ahead.Add(r.Lifetime)); r.now = r.now.Add(30 * time.Second) {
		check(t, r.verify(t, key.Thumbprint(), proof), ErrReplayed.Error())
	}
	check(t, r.verify(t, key.Thumbprint(), proof), "iat")

	id := dpoptest.Claim("jti", "1")
	check(t, r.verify(t, key.Thumbprint(), key.Proof("GET", orders, token, dpoptest.At(r.now), id)), "")
	r.now = r.now.Add(2 * time.Minute)
	check(t, r.verify(t, key.Thumbprint(), key.Proof("GET", orders, token, dpoptest.At(r.now), id)), ErrReplayed.Error())
	other := dpoptest.NewKey()
	check(t, r.verify(t, other.Thumbprint(), other.Proof("GET", orders, token, dpoptest.At(r.now), id)), "")
}

// TestAWrongProofTakesNoRoom checks that a proof that is refused isn't remembered.
func TestAWrongProofTakesNoRoom(t *testing.T) {
	r, key := newRig(), dpoptest.NewKey()
	proof := key.Proof("GET", orders, token, dpoptest.At(r.now))
	check(t, r.verify(t, dpoptest.NewKey().Thumbprint(), proof), "jkt")
	if r.Replays.Memory.total != 0 {
		t.Errorf("%d proofs are remembered", r.Replays.Memory.total)
	}
	check(t, r.verify(t, key.Thumbprint(), proof), "")
}

// TestARequestMayUseItsProofAgain checks that the checks of one request may run twice.
func TestARequestMayUseItsProofAgain(t *testing.T) {
	m, p := NewMemory(), proofOf("a", 1, time.Now())
	for range 2 {
		if err := m.use(p, 7, time.Now()); err != nil {
			t.Error(err)
		}
	}
	if err := m.use(p, 8, time.Now()); !errors.Is(err, ErrReplayed) {
		t.Errorf("another request: %v", err)
	}
}

// proofOf returns a proof of a key, as it is remembered.
func proofOf(key string, n int, expires time.Time) *Proof {
	return &Proof{id: digestOf(key, strconv.Itoa(n)), key: digestOf(key), expires: expires}
}

// TestRoomIsFair checks that a key with 10^6 proofs makes no request of another key fail, that it is refused itself, and that no proof is
// forgotten while it is valid.
func TestRoomIsFair(t *testing.T) {
	m, now := NewMemory(), time.Now()
	expires := now.Add(5 * time.Minute)
	const many = 1_000_000
	stored := 0
	for n := range many {
		switch err := m.use(proofOf("greedy", n, expires), newUser(), now); {
		case err == nil:
			stored++
		case !errors.Is(err, ErrFull):
			t.Fatal(err)
		}
	}
	if stored != maxProofs/2 {
		t.Errorf("%d proofs of one key are stored, expected half of the room, %d", stored, maxProofs/2)
	}
	for n := range 1000 {
		if err := m.use(proofOf("modest", n, expires), newUser(), now); err != nil {
			t.Fatalf("another key is refused: %v", err)
		}
	}
	for n := range stored {
		if err := m.use(proofOf("greedy", n, expires), newUser(), now); !errors.Is(err, ErrReplayed) {
			t.Fatalf("proof %d passes again: %v", n, err)
		}
	}
	err := m.use(proofOf("greedy", many, expires), newUser(), expires.Add(time.Minute))
	if err != nil || m.total != 1 || len(m.counts) != 1 {
		t.Errorf("after the time of the proofs: %v, and %d proofs of %d keys", err, m.total, len(m.counts))
	}
}

// TestAFullMemory checks that many keys together are refused at the limit, and that nothing is forgotten then.
func TestAFullMemory(t *testing.T) {
	m, now := newMemory(100), time.Now()
	expires := now.Add(time.Minute)
	for n := range 1000 {
		err := m.use(proofOf(strconv.Itoa(n), 0, expires), newUser(), now)
		if n < 100 != (err == nil) || err != nil && !errors.Is(err, ErrFull) {
			t.Fatalf("key %d: %v", n, err)
		}
	}
	if err := m.use(proofOf("0", 0, expires), newUser(), now); !errors.Is(err, ErrReplayed) {
		t.Errorf("the first proof passes again: %v", err)
	}
}

// TestReplicasShareProofs checks that of all replicas with one Redis only one takes a proof, at the same time and later.
func TestReplicasShareProofs(t *testing.T) {
	server := redistest.Start(t)
	settings := server.Settings()
	client, err := settings.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	replica := func() *Replays { return &Replays{Memory: NewMemory(), Redis: client, Prefix: settings.Prefix} }
	now := time.Now()
	p := proofOf("a", 1, now.Add(time.Minute))
	errs := make([]error, 8)
	var all sync.WaitGroup
	for n := range errs {
		all.Go(func() { errs[n] = replica().use(t.Context(), p, newUser(), now) })
	}
	all.Wait()
	first := 0
	for _, err := range errs {
		if err == nil {
			first++
		} else if !errors.Is(err, ErrReplayed) {
			t.Error(err)
		}
	}
	if first != 1 {
		t.Errorf("%d replicas took the proof, expected 1", first)
	}
	// The client sends a command again whose answer was lost: the value is its own.
	own := replica()
	again := proofOf("a", 2, now.Add(time.Minute))
	name := own.name(again)
	if set, err := setOnce(t.Context(), client, name, "7", time.Minute); err != nil || !set {
		t.Fatal(set, err)
	}
	if set, err := setOnce(t.Context(), client, name, "7", time.Minute); err != nil || !set {
		t.Errorf("its own value: %v %v", set, err)
	}
	if set, err := setOnce(t.Context(), client, name, "8", time.Minute); err != nil || set {
		t.Errorf("another value: %v %v", set, err)
	}
	if life := client.PTTL(t.Context(), name).Val(); life <= 0 || life > time.Minute {
		t.Errorf("the key lives for %s", life)
	}
	server.Kill()
	if err := own.use(t.Context(), proofOf("a", 3, now.Add(time.Minute)), newUser(), now); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without Redis: %v", err)
	}
}
