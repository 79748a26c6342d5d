package app

import (
	"sallyport/internal/dpop"
	"sallyport/internal/flow"
	"sallyport/internal/keyring"
)

// addProofs adds to the dependencies of a route's flows what they need to verify DPoP proofs. All routes share the memory of this process,
// which outlives reloads: otherwise a proof could be used again after one. Replicas share the Redis of the route.
func (b *builder) addProofs(d *flow.Deps, f *flow.Settings) error {
	if !f.ReadsProofs() {
		return nil
	}
	d.Replays = &dpop.Replays{Memory: b.state.proofs}
	if s := f.Redis(); s != nil {
		client, err := b.redisClient(*s, "proofs")
		if err != nil {
			return err
		}
		d.Replays.Redis, d.Replays.Prefix = client, s.Prefix
	}
	if !f.DPoPUseNonce {
		return nil
	}
	ring, err := keyring.New(f.Session.Secret)
	if err != nil {
		return err
	}
	d.NonceKey = ring.Derive("dpop nonces")
	return nil
}
