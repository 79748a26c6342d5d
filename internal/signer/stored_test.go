package signer

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sallyport/internal/golden"
)

var storedAlgs = []string{"RS256", "ES256", "EdDSA"}

// TestStoredKeys reads the keys that earlier versions have stored in Redis and in a file: those in use, and those before the last rotation.
func TestStoredKeys(t *testing.T) {
	onEach(t, func(r *rig) {
		storage := r.settings.Storage
		if storage == "memory" {
			return
		}
		f := golden.Open(r, storage+"-v1", func(f *golden.File) { storeKeys(r, f) })
		record := string(f.Bytes("record"))
		fill(r, record)
		s := r.open()
		for _, alg := range storedAlgs {
			key := r.key(s, alg)
			if !key.Valid() || key.IsPublic() || key.KeyID != f.Text(alg) {
				r.Errorf("%s: the key %s, expected %s", alg, key.KeyID, f.Text(alg))
			}
		}
		var public []string
		f.Get("public", &public)
		if got := slices.Sorted(maps.Keys(r.public(s))); !slices.Equal(got, public) {
			r.Errorf("published: %v, expected %v", got, public)
		}
		if r.raw() != record {
			r.Error("the keys were stored anew")
		}
	})
}

// storeKeys stores keys as the gate does now, and rotates them once.
func storeKeys(r *rig, f *golden.File) {
	s := r.open()
	if err := s.Ensure(r.Context(), storedAlgs); err != nil {
		r.Fatal(err)
	}
	r.public(s)
	if err := s.Rotate(r.Context()); err != nil {
		r.Fatal(err)
	}
	for _, alg := range storedAlgs {
		f.Put(alg, r.key(s, alg).KeyID)
	}
	f.Put("public", slices.Sorted(maps.Keys(r.public(s))))
	f.Put("record", []byte(r.raw()))
}

// fill stores a record in the rig's store.
func fill(r *rig, record string) {
	r.Helper()
	if r.settings.Storage == "file" {
		name := filepath.Join(r.TempDir(), "keys")
		if err := os.WriteFile(name, []byte(record), 0o600); err != nil {
			r.Fatal(err)
		}
		r.settings.File, r.raw = name, func() string { b, _ := os.ReadFile(name); return string(b) }
		return
	}
	client, err := r.settings.Redis.New(slog.New(slog.DiscardHandler))
	if err != nil {
		r.Fatal(err)
	}
	defer client.Close()
	if err := client.Set(r.Context(), r.settings.Redis.Prefix+"keys", record, 0).Err(); err != nil {
		r.Fatal(err)
	}
}
