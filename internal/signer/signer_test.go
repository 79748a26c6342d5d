package signer

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
	"sallyport/internal/redis/redistest"
)

const secret = auth.Secret("a secret of the test, long enough to be one")

// A rig opens one store as any number of replicas.
type rig struct {
	*testing.T
	settings Settings
	raw      func() string // what is stored
}

func onEach(t *testing.T, test func(*rig)) {
	t.Run("memory", func(t *testing.T) {
		test(&rig{T: t, settings: Settings{Storage: "memory"}, raw: func() string { return "" }})
	})
	t.Run("file", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "keys")
		test(&rig{T: t, settings: Settings{Storage: "file", File: name},
			raw: func() string { b, _ := os.ReadFile(name); return string(b) }})
	})
	t.Run("redis", func(t *testing.T) {
		s := Settings{Storage: "redis", Redis: redistest.Start(t).Settings()}
		client, err := s.Redis.New(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		test(&rig{T: t, settings: s, raw: func() string { return client.Get(context.Background(), s.Redis.Prefix+"keys").Val() }})
	})
}

func (r *rig) open(secrets ...auth.Secret) *Signer {
	r.Helper()
	if len(secrets) == 0 {
		secrets = []auth.Secret{secret}
	}
	k, err := keyring.New(secrets)
	if err != nil {
		r.Fatal(err)
	}
	s, err := New(Config{Settings: r.settings, Keyring: k, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { s.Close() })
	return s
}

func (r *rig) key(s *Signer, alg string) *jose.JSONWebKey {
	r.Helper()
	k, err := s.Key(alg)
	if err != nil {
		r.Fatal(err)
	}
	return k
}

func (r *rig) public(s *Signer) map[string]bool {
	r.Helper()
	set, err := s.Public(context.Background())
	if err != nil {
		r.Fatal(err)
	}
	kids := map[string]bool{}
	for _, k := range set.Keys {
		if !k.IsPublic() || !k.Valid() || k.Use != "sig" || k.Algorithm == "" {
			r.Errorf("published: %+v", k)
		}
		kids[k.KeyID] = true
	}
	return kids
}

func TestSignWhatIsPublished(t *testing.T) {
	onEach(t, func(r *rig) {
		s := r.open()
		for _, alg := range []string{"RS256", "PS384", "ES256", "ES512", "EdDSA"} {
			key := r.key(s, alg)
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, nil)
			if err != nil {
				r.Fatal(err)
			}
			signed, err := signer.Sign([]byte("x"))
			if err != nil {
				r.Fatal(err)
			}
			compact, _ := signed.CompactSerialize()
			received, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
			if err != nil {
				r.Fatal(err)
			}
			set, _ := s.Public(context.Background())
			if _, err := received.Verify(set); err != nil {
				r.Errorf("%s: %v", alg, err)
			}
			if again := r.key(s, alg); again.KeyID != key.KeyID {
				r.Errorf("%s: another key the second time", alg)
			}
		}
		if _, err := s.Key("none"); err == nil {
			r.Error("a key for none")
		}
	})
}

func TestRotate(t *testing.T) {
	onEach(t, func(r *rig) {
		s := r.open()
		first := r.key(s, "ES256").KeyID
		if err := s.Rotate(context.Background()); err != nil {
			r.Fatal(err)
		}
		second := r.key(s, "ES256").KeyID
		if kids := r.public(s); first == second || len(kids) != 2 || !kids[first] || !kids[second] {
			r.Errorf("after one rotation %v are published, of %s and %s", kids, first, second)
		}
		s.Rotate(context.Background())
		third := r.key(s, "ES256").KeyID
		if kids := r.public(s); len(kids) != 2 || kids[first] || !kids[second] || !kids[third] {
			r.Errorf("after two rotations %v are published", kids)
		}
	})
}

func TestOldKeysRotateByThemselves(t *testing.T) {
	now := time.Now()
	s, _ := New(Config{Settings: Settings{RotateAfter: time.Hour}, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler)})
	s.Rotate(context.Background())
	first, _ := s.Key("ES256")
	now = now.Add(59 * time.Minute)
	if k, _ := s.Key("ES256"); k.KeyID != first.KeyID {
		t.Error("rotated before its time")
	}
	now = now.Add(2 * time.Minute)
	if k, _ := s.Key("ES256"); k.KeyID == first.KeyID {
		t.Error("not rotated in time")
	}
}

// After a restart, and in another replica, the keys are the same. The record doesn't show them.
func TestStored(t *testing.T) {
	onEach(t, func(r *rig) {
		if r.settings.Storage == "memory" {
			return
		}
		key := r.key(r.open(), "ES256")
		if again := r.key(r.open(), "ES256"); again.KeyID != key.KeyID {
			r.Error("another key after a restart")
		}
		if again := r.key(r.open("another secret of the test, long enough", secret), "ES256"); again.KeyID != key.KeyID {
			r.Error("another key after the secret was rotated")
		}
		encoded, _ := json.Marshal(key)
		var members map[string]string
		json.Unmarshal(encoded, &members)
		if raw := r.raw(); raw == "" || strings.Contains(raw, members["d"]) || strings.Contains(raw, members["x"]) {
			r.Error("the record shows the key, or there is no record")
		}
		other := r.open("another secret of the test, long enough")
		if _, err := other.Key("ES256"); !errors.Is(err, ErrUnavailable) {
			r.Errorf("with another secret: %v, expected %v", err, ErrUnavailable)
		}
		if again := r.key(r.open(), "ES256"); again.KeyID != key.KeyID {
			r.Error("a signer with another secret has replaced the keys")
		}
	})
}

// Replicas that need the first key at the same time agree on one.
func TestReplicasAgree(t *testing.T) {
	r := &rig{T: t, settings: Settings{Storage: "redis", Redis: redistest.Start(t).Settings()}}
	kids := make([]string, 8)
	var all sync.WaitGroup
	for n := range kids {
		s := r.open()
		all.Go(func() {
			k, err := s.Key("ES256")
			if err != nil {
				t.Error(err)
				return
			}
			kids[n] = k.KeyID
		})
	}
	all.Wait()
	for _, kid := range kids {
		if kid != kids[0] {
			t.Errorf("two keys: %s and %s", kids[0], kid)
		}
	}
}
