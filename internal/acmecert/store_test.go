package acmecert

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/redis/redistest"
	"sallyport/internal/testlog"
)

func mustRedisStore(t *testing.T, server *redistest.Server, log *slog.Logger, directory string, secrets ...auth.Secret) *redisStore {
	t.Helper()
	s, err := newRedisStore(&Config{Settings: Settings{Directory: directory, Redis: server.Settings(), Secret: secrets}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	return s
}

const (
	secret      = auth.Secret("0123456789abcdef0123456789abcdef")
	otherSecret = auth.Secret("fedcba9876543210fedcba9876543210")
)

// TestRedisStore checks that Redis never has a private key in clear, and that records expire.
func TestRedisStore(t *testing.T) {
	server := redistest.Start(t)
	s := mustRedisStore(t, server, slog.New(slog.DiscardHandler), "https://ca.example", secret)
	data, err := encodeCertificate(mustCertify(t, "a.example", 1, time.Now(), day))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.example", accountName, challengeName} {
		if err := s.put(t.Context(), name, data, time.Hour); err != nil {
			t.Fatal(err)
		}
		if got, err := s.get(t.Context(), name); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %v", name, err)
		}
	}
	admin, block := server.Client(t, 0), mustBlock(t, data)
	for _, key := range admin.Keys(t.Context(), "*").Val() {
		value := admin.Get(t.Context(), key).Val()
		if strings.Contains(value, "PRIVATE KEY") || strings.Contains(value, string(block[len(block)-32:])) {
			t.Errorf("%s has a private key", key)
		}
		if left := admin.PTTL(t.Context(), key).Val(); left <= 0 || left > time.Hour || !strings.HasPrefix(key, "sallyport:acme:") {
			t.Errorf("%s lives for %v", key, left)
		}
	}
}

// TestRedisRecordsAreBound checks that a record that was moved, changed or sealed with another secret is ignored, with one line in the log.
func TestRedisRecordsAreBound(t *testing.T) {
	server, log := redistest.Start(t), &testlog.Buffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	s, admin := mustRedisStore(t, server, logger, "https://ca.example", secret), server.Client(t, 0)
	if err := s.put(t.Context(), "a.example", []byte("PRIVATE"), time.Hour); err != nil {
		t.Fatal(err)
	}
	record := admin.Get(t.Context(), s.prefix+"a.example").Val()
	admin.Set(t.Context(), s.prefix+"b.example", record, 0)
	admin.Set(t.Context(), s.prefix+"c.example", record[:len(record)-1]+"x", 0)
	for name, in := range map[string]*redisStore{
		"b.example": s, "c.example": s, "a.example": mustRedisStore(t, server, logger, "https://ca.example", otherSecret),
	} {
		for range 3 {
			if got, err := in.get(t.Context(), name); !errors.Is(err, errAbsent) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
	}
	if n := strings.Count(log.String(), "is ignored"); n != 3 || strings.Contains(log.String(), "PRIVATE") {
		t.Errorf("%d messages, expected 3:\n%s", n, log)
	}
	both := mustRedisStore(t, server, logger, "https://ca.example", otherSecret, secret)
	if _, err := both.get(t.Context(), "a.example"); err != nil {
		t.Errorf("with the old secret behind the new: %v", err)
	}
	other := mustRedisStore(t, server, logger, "https://test-ca.example", secret)
	if _, err := other.get(t.Context(), "a.example"); !errors.Is(err, errAbsent) {
		t.Errorf("another ACME server's: %v", err)
	}
	if err := s.remove(t.Context(), "a.example"); err != nil || admin.Exists(t.Context(), s.prefix+"a.example").Val() != 0 {
		t.Errorf("remove: %v", err)
	}
}

func mustBlock(t *testing.T, data []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		t.Fatal("the record doesn't begin with a private key")
	}
	return block.Bytes
}

// TestRedisLease checks that one holder at a time has the lease, that only the holder renews and ends it, and that it ends by itself.
func TestRedisLease(t *testing.T) {
	server := redistest.Start(t)
	s := mustRedisStore(t, server, slog.New(slog.DiscardHandler), "https://ca.example", secret)
	lease := func(holder string, want bool) {
		t.Helper()
		if ok, err := s.lease(t.Context(), holder, time.Minute); err != nil || ok != want {
			t.Errorf("%s: %t, %v, expected %t", holder, ok, err, want)
		}
	}
	lease("a", true)
	lease("a", true)
	lease("b", false)
	if err := s.release(t.Context(), "b"); err != nil {
		t.Error(err)
	}
	lease("b", false)
	if err := s.release(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	lease("b", true)
	server.Pass(t, 2*time.Minute)
	lease("a", true)
}

// TestFolderStore checks the modes of files and folders, and that servers don't share records.
func TestFolderStore(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new", "acme")
	open := func(directory string) store {
		s, err := newStore(&Config{Settings: Settings{Storage: "folder", Folder: folder, Directory: directory}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open("https://ca.example")
	if _, err := s.get(t.Context(), "a.example"); !errors.Is(err, errAbsent) {
		t.Errorf("before: %v", err)
	}
	if err := s.put(t.Context(), "a.example", []byte("x"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if got, err := open("https://ca.example").get(t.Context(), "a.example"); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := open("https://test-ca.example").get(t.Context(), "a.example"); !errors.Is(err, errAbsent) {
		t.Errorf("another server's: %v", err)
	}
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if want := map[bool]os.FileMode{true: 0o700, false: 0o600}[d.IsDir()]; err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has the mode %v, expected %v", name, info.Mode(), want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.remove(t.Context(), "a.example"); err != nil {
		t.Error(err)
	}
	if _, err := s.get(t.Context(), "a.example"); !errors.Is(err, errAbsent) {
		t.Errorf("after remove: %v", err)
	}
}
