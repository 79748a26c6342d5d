package app

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
	"sallyport/internal/config"
	"sallyport/internal/keyring"
	"sallyport/internal/signer"
)

// keys makes the signer of the keys that the gate makes itself.
func (b *builder) keys(file *config.File) error {
	s := file.Keys
	if s.Storage == "redis" {
		b.needsRedis(s.Redis)
	}
	key := struct {
		Settings signer.Settings
		CA       string
	}{s, fileDigest(s.Redis.CAFile)}
	key.Settings.PublicPath = "" // where the keys are published doesn't make others of them
	made, k, err := b.kept.signers.get(key, func() (*signer.Signer, error) {
		c := signer.Config{Settings: s, Now: b.now, Log: b.log}
		if s.Storage != "memory" {
			var err error
			if c.Keyring, err = keyring.New(s.Secret); err != nil {
				return nil, err
			}
		}
		return signer.New(c)
	})
	b.used[k] = true
	b.signer, b.signs = made, k
	return err
}

// keyRetry is how long a store of keys that is away is left alone.
const keyRetry = 3 * time.Second

// ensureKeys makes the keys that the clients of a configuration sign with, before it serves. A store that is away delays
// nobody: it is asked again until the keys are made or another configuration runs.
func (s *server) ensureKeys(b *builder) {
	s.stopKeys()
	ctx, stop := context.WithCancel(context.Background())
	s.stopKeys = stop
	err := b.signer.Ensure(ctx, b.algs)
	if err == nil {
		return
	}
	s.log.Error("the gate's keys can't be made yet, and clients that sign with them can't prove themselves: it is tried again", "error", err)
	go func() {
		tick := time.NewTicker(keyRetry)
		defer tick.Stop()
		for err != nil {
			select {
			case <-tick.C:
				err = b.signer.Ensure(ctx, b.algs)
			case <-ctx.Done():
				return
			}
		}
		s.log.Info("the gate's keys are made")
	}()
}

// jwksEndpoint publishes the gate's public keys to the clients of the gate, so that an issuer can fetch them.
func jwksEndpoint(path string, s *signer.Signer) auth.Endpoint {
	return auth.Endpoint{Name: "jwks", Path: path, Serve: func(r *auth.Request) (*auth.Result, error) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return nil, &auth.Error{Status: http.StatusMethodNotAllowed, Description: "This address doesn't take that method.",
				Reason: "method_not_allowed", Allow: "GET, HEAD"}
		}
		set, err := s.Public(r.Context())
		if err != nil && len(set.Keys) == 0 {
			return nil, auth.Unavailable("keys_unavailable", err)
		}
		body, errJSON := json.Marshal(set)
		return &auth.Result{Answer: &auth.Answer{Status: http.StatusOK, Body: body, Header: http.Header{
			"Content-Type": {jwkSetType}, "Cache-Control": {keysCacheControl(set, err)},
		}}}, errJSON
	}}
}

// keysCacheControl lets nobody keep a set to which keys will come: an issuer would refuse what they sign until it asks again.
func keysCacheControl(set *jose.JSONWebKeySet, missing error) string {
	if missing != nil || len(set.Keys) == 0 {
		return "no-store"
	}
	return "public, max-age=60"
}

const jwkSetType = "application/jwk-set+json" // RFC 7517 §8.5.2
