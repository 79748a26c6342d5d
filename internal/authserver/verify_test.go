package authserver

import (
	"context"
	"testing"
)

// A storeThat calls during between the load and its return.
type storeThat struct {
	store
	during func()
}

func (s *storeThat) load(ctx context.Context, h handle) (*record, error) {
	r, err := s.store.load(ctx, h)
	if s.during != nil {
		during := s.during
		s.during = nil
		during()
	}
	return r, err
}

// A load that was running when a token was revoked makes it valid neither for that request nor for later ones.
func TestARevocationOvertakesALook(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		access, _ := g.granted(cc, basic("app", appSecret))
		ofFamily, refresh := g.tokens()
		slow := &storeThat{store: g.store}
		g.store = slow
		slow.during = func() { g.post("revoke", revoking(access)) }
		g.dead(access)
		g.dead(access)
		slow.during = func() { g.post("revoke", revoking(refresh)) }
		g.dead(ofFamily)
		g.dead(ofFamily)
	})
}

// When a refresh token is used twice, cached access tokens are invalid at once.
func TestAnEndedFamilyIsForgottenAtOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		access, refresh := g.tokens()
		g.granted(refreshing(refresh))
		r.pass(refreshGrace)
		g.alive(access)
		g.refused(refreshing(refresh), 400, "invalid_grant")
		g.dead(access)
	})
}

func BenchmarkVerify(b *testing.B) {
	i, err := New(Config{Settings: usual(), Log: discard})
	if err != nil {
		b.Fatal(err)
	}
	h := i.mint.make(accessHandle, "")
	i.store.add(b.Context(), h, i.newAccess(i.clients["app"], origin, clientCredentials))
	b.ReportAllocs()
	site := i.at(base, nil)
	for b.Loop() {
		if _, err := site.Verify(b.Context(), h.text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	line := Hash("a secret")
	h, _ := parseHash(line)
	for b.Loop() {
		h.matches("a secret")
	}
}
