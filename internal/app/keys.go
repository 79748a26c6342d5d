package app

import (
	"context"
	"encoding/json"
	"net/http"

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

// jwksEndpoint publishes the gate's public keys to the clients of the gate, so that an issuer can fetch them.
func jwksEndpoint(path string, s *signer.Signer) auth.Endpoint {
	return auth.Endpoint{Name: "jwks", Path: path, Serve: func(r *auth.Request) (*auth.Result, error) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			return nil, &auth.Error{Status: http.StatusMethodNotAllowed, Description: "This address doesn't take that method.", Reason: "method_not_allowed", Allow: "GET, HEAD"}
		}
		body, err := publicKeys(r.Context(), s)
		if err != nil {
			return nil, auth.Unavailable("keys_unavailable", err)
		}
		return &auth.Result{Answer: &auth.Answer{Status: http.StatusOK, Body: body, Header: http.Header{
			"Content-Type": {jwkSetType}, "Cache-Control": {"public, max-age=60"},
		}}}, nil
	}}
}

const jwkSetType = "application/jwk-set+json" // RFC 7517 §8.5.2

func publicKeys(ctx context.Context, s *signer.Signer) ([]byte, error) {
	set, err := s.Public(ctx)
	if err != nil {
		return nil, err
	}
	return json.Marshal(set)
}
