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

// makeSigner makes the signer, which has the gate's own keys.
func (b *builder) makeSigner(file *config.File) (err error) {
	s := file.Keys
	s.PublicPath = "" // the signer doesn't use it: a new path keeps the keys
	b.signerSettings = s
	if s.Storage == "redis" {
		b.addRedisServer(s.Redis)
	}
	b.signer, err = take(b, &b.state.signers, s, func() (*signer.Signer, error) {
		c := signer.Config{Settings: s, Now: b.now, Log: b.log}
		if s.Storage != "memory" {
			var err error
			if c.Keyring, err = keyring.New(s.Secret); err != nil {
				return nil, err
			}
		}
		return signer.New(c)
	})
	return err
}

// keyRetry is the time between two attempts to make keys while their store can't be reached.
const keyRetry = 3 * time.Second

// ensureKeys makes the keys that the clients of a configuration sign with. If their store can't be reached, it returns at once, and a
// goroutine tries again until the keys are made or another configuration runs.
func (s *server) ensureKeys(b *builder) {
	s.stopKeys()
	ctx, stop := context.WithCancel(context.Background())
	s.stopKeys = stop
	err := b.signer.Ensure(ctx, b.signingAlgs)
	if err == nil {
		return
	}
	s.log.Error("the gate's keys can't be made yet, so clients that sign with them can't authenticate: the gate tries again", "error", err)
	go func() {
		tick := time.NewTicker(keyRetry)
		defer tick.Stop()
		for err != nil {
			select {
			case <-tick.C:
				err = b.signer.Ensure(ctx, b.signingAlgs)
			case <-ctx.Done():
				return
			}
		}
		s.log.Info("the gate's keys are made")
	}()
}

// publicKeys returns the keys that the gate publishes: those that verify its signatures, and those to which issuers encrypt their answers.
// With an error, the former may be missing.
func (b *builder) publicKeys(ctx context.Context) (*jose.JSONWebKeySet, error) {
	set, err := b.signer.Public(ctx)
	return &jose.JSONWebKeySet{Keys: append(append([]jose.JSONWebKey{}, set.Keys...), b.encryptionKeys...)}, err
}

// jwksEndpoint returns the endpoint at which issuers fetch the gate's public keys.
func (b *builder) jwksEndpoint(path string) auth.Endpoint {
	return auth.Endpoint{Name: "jwks", Path: path, Serve: func(r *auth.Request) (*auth.Result, error) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return nil, &auth.Error{Status: http.StatusMethodNotAllowed, Description: "This address doesn't take that method.",
				Reason: "method_not_allowed", Allow: "GET, HEAD"}
		}
		set, err := b.publicKeys(r.Context())
		if err != nil && len(set.Keys) == 0 {
			return nil, auth.Unavailable("keys_unavailable", err)
		}
		body, errJSON := json.Marshal(set)
		return &auth.Result{Answer: &auth.Answer{Status: http.StatusOK, Body: body, Header: http.Header{
			"Content-Type": {jwkSetType}, "Cache-Control": {keysCacheControl(set, err)},
		}}}, errJSON
	}}
}

// keysCacheControl returns the Cache-Control of a key set. An incomplete set must not be cached: until it expired, an issuer would refuse
// signatures of the keys that are added.
func keysCacheControl(set *jose.JSONWebKeySet, err error) string {
	if err != nil || len(set.Keys) == 0 {
		return "no-store"
	}
	return "public, max-age=60"
}

const jwkSetType = "application/jwk-set+json" // RFC 7517 §8.5.2
