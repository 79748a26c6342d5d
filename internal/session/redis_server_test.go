package session

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/redis"
	"sallyport/internal/redis/redistest"
)

// commands are the commands that the gate's ACL user needs.
const commands = "+get +getex +set +del +exists +pexpire +persist +zadd +zrem +zrange +zrandmember +zremrangebyscore " +
	"+hset +hmget +getdel +scan +publish +subscribe " +
	"+eval +evalsha +ping +select"

func TestTLSAndACLUser(t *testing.T) {
	dir := t.TempDir()
	ca, cert, key := certificates(t, dir, "redis.internal")
	server := startTLSRedis(t, cert, key)
	with := func(change func(*redis.Settings)) error {
		settings := server.Settings()
		settings.SSL, settings.CAFile, settings.ServerName = true, ca, "redis.internal"
		settings.Username, settings.Password, settings.Database = "gate", "gate-password", 3
		change(&settings)
		s, err := New(Config{Settings: Settings{Storage: "redis", Redis: settings, IdlingTimeout: time.Hour, RollingTimeout: time.Hour},
			Keyring: mustKeyring(t, secretA)})
		if err != nil {
			return err
		}
		defer s.Close()
		return walk(t, s)
	}
	for name, c := range map[string]struct {
		change   func(*redis.Settings)
		expected string
	}{
		"as it should be":        {func(*redis.Settings) {}, ""},
		"insecure":               {func(s *redis.Settings) { s.CAFile, s.ServerName, s.SSLVerify = "", "", false }, ""},
		"unknown CA":             {func(s *redis.Settings) { s.CAFile = "" }, "unknown authority"},
		"the certificate's name": {func(s *redis.Settings) { s.ServerName = "" }, "127.0.0.1"},
		"plain":                  {func(s *redis.Settings) { s.SSL = false }, ErrUnavailable.Error()},
		"wrong password":         {func(s *redis.Settings) { s.Password = "other" }, "WRONGPASS"},
		"no user":                {func(s *redis.Settings) { s.Username, s.Password = "", "" }, "NOAUTH"},
		"another prefix":         {func(s *redis.Settings) { s.Prefix = "other:" }, "NOPERM"},
	} {
		err := with(c.change)
		switch {
		case c.expected == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.expected != "" && (!errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), c.expected)):
			t.Errorf("%s: got %v, expected %q", name, err, c.expected)
		}
		if err != nil && strings.Contains(err.Error(), "gate-password") {
			t.Errorf("%s: the message shows the password: %v", name, err)
		}
	}
	if n := server.Client(t, 3).DBSize(t.Context()).Val(); n == 0 {
		t.Error("nothing is in the database of the settings")
	}
	for name, file := range map[string]string{"absent": filepath.Join(dir, "absent"), "no certificate": key} {
		if err := with(func(s *redis.Settings) { s.CAFile = file }); err == nil || !strings.Contains(err.Error(), "ca_file") {
			t.Errorf("ca_file %s: got %v", name, err)
		}
	}
}

// walk makes the store use every command.
func walk(t *testing.T, s *Sessions) error {
	ctx := t.Context()
	id, _, err := s.Start(ctx, nil, john())
	if err != nil {
		return err
	}
	s.store.(*redisStore).decoded.InvalidateAll()
	i := &issuer{clock: &clock{}}
	l := i.login()
	l.SID, l.ClientID = rand.Text(), rand.Text() // those of another walk are marked
	if id, _, err = s.Start(ctx, &id, l); err != nil {
		return err
	}
	if _, err := s.Update(ctx, id, i.refresh, noDiscard); err != nil {
		return err
	}
	cached, _ := s.store.(*redisStore).decoded.GetIfPresent(id)
	cached.touched.Store(0)
	e, err := s.read(ctx, id)
	if err != nil {
		return err
	}
	if e, err = s.move(ctx, e); err != nil {
		return err
	}
	store := s.store.(*redisStore)
	store.subscribe()
	await(t, "subscription", func() bool { return store.near.connection.Load() != 0 })
	messages := &store.near.messages[store.near.group(e.id.digest())]
	before := messages.Load()
	if err := s.End(ctx, id); err != nil {
		return err
	}
	await(t, "message", func() bool { return messages.Load() >= before+2 }) // Redis' own, besides that of End
	s.timeouts.rolling, s.timeouts.absolute = 0, 0
	s.store.(*redisStore).timeouts = timeouts{idling: time.Hour}
	for range 2 {
		if _, _, err := s.Start(ctx, nil, l); err != nil {
			return err
		}
	}
	if _, err = bySID(s, ctx, l.Issuer, l.ClientID, l.SID); err != nil {
		return err
	}
	l.SID = "of a later login"
	if _, _, err := s.Start(ctx, nil, l); err != nil {
		return err
	}
	if all, _, err := s.List(ctx, Selection{}, "", 10); err != nil || len(all) != 1 {
		return fmt.Errorf("%d sessions are listed, %w", len(all), err)
	}
	if n, err := s.EndSelected(ctx, Selection{ClientID: l.ClientID}); err != nil || n != 1 {
		return fmt.Errorf("ended %d sessions, %w", n, err)
	}
	return s.Ping(ctx)
}

func TestUnixSocket(t *testing.T) {
	r := redisRig(t)
	settings := r.server.Settings()
	settings.Socket, settings.Host, settings.Port = r.server.Socket(), "host.invalid", 1
	s, err := New(Config{Settings: Settings{Storage: "redis", Redis: settings}, Keyring: mustKeyring(t, secretA)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := walk(t, s); err != nil {
		t.Error(err)
	}
}

// startTLSRedis starts a Redis server that accepts only TLS connections and only the user gate.
func startTLSRedis(t *testing.T, cert, key string) *redistest.Server {
	t.Helper()
	users := filepath.Join(t.TempDir(), "users.acl")
	acl := "user gate on >gate-password ~sallyport:* &sallyport:sessions -@all " + commands + "\nuser default on >test-password ~* &* +@all\n"
	if err := os.WriteFile(users, []byte(acl), 0o600); err != nil {
		t.Fatal(err)
	}
	server := redistest.StartTLS(t, cert, key, "--aclfile", users)
	server.Password = "test-password"
	return server
}

// certificates writes a CA certificate, a server certificate that it signed, and the server's key.
func certificates(t *testing.T, dir, name string) (caFile, certFile, keyFile string) {
	t.Helper()
	caKey, key := mustKey(t), mustKey(t)
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{name}, IPAddresses: []net.IP{}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return mustPEM(t, dir, "ca.pem", "CERTIFICATE", mustSign(t, ca, ca, caKey, caKey)),
		mustPEM(t, dir, "cert.pem", "CERTIFICATE", mustSign(t, leaf, ca, key, caKey)),
		mustPEM(t, dir, "key.pem", "PRIVATE KEY", pkcs8)
}

func mustKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func mustSign(t *testing.T, cert, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func mustPEM(t *testing.T, dir, name, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
