package acmecert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"time"

	"golang.org/x/crypto/acme/autocert"
)

// A store has the records of one ACME server: the account's key, certificates with their keys, failures and the challenge under way.
type store interface {
	// get returns a record, or errAbsent.
	get(ctx context.Context, name string) ([]byte, error)
	// put stores a record for a time. A store of one process may keep it longer.
	put(ctx context.Context, name string, value []byte, life time.Duration) error
	remove(ctx context.Context, name string) error

	// lease takes or renews the lease: of all replicas, one at a time orders certificates. It reports false if another one holds it.
	lease(ctx context.Context, holder string, life time.Duration) (bool, error)
	release(ctx context.Context, holder string) error

	// shared reports whether other replicas have the records, too.
	shared() bool
	close() error
}

// errAbsent means that a store doesn't have a record, or that the record can't be used.
var errAbsent = errors.New("there is no such record")

func newStore(c *Config) (store, error) {
	if c.Storage == "redis" {
		return newRedisStore(c)
	}
	return &folderStore{autocert.DirCache(filepath.Join(c.Folder, scope(c.Directory)))}, nil
}

// scope returns the name of an ACME server in a store, so that no certificate of a test server is taken for one of another.
func scope(directory string) string {
	sum := sha256.Sum256([]byte(directory))
	return hex.EncodeToString(sum[:8])
}

// A folderStore stores records in files of a folder that only this process writes. The files have mode 0600, the folders 0700.
type folderStore struct{ files autocert.DirCache }

func (f *folderStore) get(ctx context.Context, name string) ([]byte, error) {
	data, err := f.files.Get(ctx, name)
	if errors.Is(err, autocert.ErrCacheMiss) {
		return nil, errAbsent
	}
	return data, err
}

func (f *folderStore) put(ctx context.Context, name string, value []byte, _ time.Duration) error {
	return f.files.Put(ctx, name, value)
}

func (f *folderStore) remove(ctx context.Context, name string) error {
	return f.files.Delete(ctx, name)
}

func (f *folderStore) lease(context.Context, string, time.Duration) (bool, error) { return true, nil }
func (f *folderStore) release(context.Context, string) error                      { return nil }
func (f *folderStore) shared() bool                                               { return false }
func (f *folderStore) close() error                                               { return nil }
