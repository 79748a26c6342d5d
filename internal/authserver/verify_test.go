package authserver

import (
	"context"
	"testing"
)

// A storeThat does something between reading and answering.
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

// A look that was under way when a token was revoked here makes it good neither for that request nor for later ones.
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

// A reuse that is noticed here ends access tokens that are known here, at once.
func TestAnEndedFamilyIsForgottenAtOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		access, refresh := g.tokens()
		g.granted(refreshing(refresh))
		g.alive(access)
		g.refused(refreshing(refresh), 400, "invalid_grant")
		g.dead(access)
	})
}

func BenchmarkVerify(b *testing.B) {
	i, err := New(Config{Settings: usual(), Log: quiet})
	if err != nil {
		b.Fatal(err)
	}
	h := i.mint.make(accessHandle, "")
	i.store.keep(b.Context(), h, i.access(i.clients["app"], origin, clientCredentials))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Verify(b.Context(), h.text); err != nil {
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
