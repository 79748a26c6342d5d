package session

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is a real redis-server of the test's own.
type server struct {
	t      testing.TB
	port   int
	args   []string
	dir    string
	cmd    *exec.Cmd
	client *redis.Client // for looking and breaking
}

// startRedis runs redis-server on a free port until the test ends.
func startRedis(t testing.TB, args ...string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, port: l.Addr().(*net.TCPAddr).Port, args: args, dir: t.TempDir()}
	l.Close()
	s.start()
	s.client = redis.NewClient(&redis.Options{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), DisableIdentity: true})
	t.Cleanup(func() { s.client.Close(); s.kill() })
	s.await()
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", append([]string{"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", ""}, s.args...)...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("redis-server (Debian's package of that name): %v", err)
	}
}

// kill is kill -9.
func (s *server) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// await waits until the port answers.
func (s *server) await() {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))); err == nil {
			c.Close()
			return
		}
	}
	s.t.Fatal("redis-server doesn't answer")
}

func (s *server) settings() Settings {
	return Settings{Storage: "redis", IdlingTimeout: 15 * time.Minute, RollingTimeout: time.Hour, AbsoluteTimeout: 24 * time.Hour, Redis: RedisSettings{
		Host: "127.0.0.1", Port: s.port, Prefix: "test:", ConnectTimeout: time.Second, SendTimeout: time.Second, ReadTimeout: time.Second, KeepalivePoolSize: 64}}
}

// dump is everything that Redis holds.
func (s *server) dump() string {
	ctx, all := context.Background(), ""
	for _, k := range s.client.Keys(ctx, "*").Val() {
		all += k + "\n" + s.client.Get(ctx, k).Val() + "\n" + strings.Join(s.client.ZRange(ctx, k, 0, -1).Val(), "\n")
	}
	return all
}

// TestRedisLearnsNothing: neither the ID nor a token nor a subject is in any key or value.
func TestRedisLearnsNothing(t *testing.T) {
	r := startRedis(t)
	s := open(t, r.settings(), ringA, nil)
	id, _, err := s.Start(t.Context(), nil, login("john-subject"))
	if err != nil {
		t.Fatal(err)
	}
	held := r.dump()
	if held == "" {
		t.Fatal("nothing is stored")
	}
	for _, secret := range []string{string(id[:]), base64.RawURLEncoding.EncodeToString(id[:]), "the-access-token", "the-refresh-token", "john-subject", "https://idp"} {
		if strings.Contains(held, secret) {
			t.Errorf("Redis can read %q", secret)
		}
	}
}

// TestRecordsDontMove: a record opens only under its own name, unchanged, with a secret of the ring.
func TestRecordsDontMove(t *testing.T) {
	r := startRedis(t)
	s := open(t, r.settings(), ringA, nil)
	ctx := t.Context()
	one, _, _ := s.Start(ctx, nil, login("one"))
	two, _, _ := s.Start(ctx, nil, login("two"))
	name, other := one.name("test:"), two.name("test:")
	record := r.client.Get(ctx, name).Val()
	fresh := func() *Sessions { return open(t, r.settings(), ringA, nil) } // without decoded sessions in memory
	r.client.Set(ctx, other, record, 0)
	if _, err := fresh().Open(ctx, two); err == nil {
		t.Error("a record that was moved to another name opens")
	}
	for i := 0; i < len(record); i += 7 {
		b := []byte(record)
		b[i] ^= 1
		r.client.Set(ctx, name, b, 0)
		if _, err := fresh().Open(ctx, one); err == nil {
			t.Errorf("a record with byte %d changed opens", i)
		}
	}
	for _, b := range []string{"", "x", record[:len(record)-1], record + "x", record[:recordHead]} {
		r.client.Set(ctx, name, b, 0)
		if _, err := s.Open(ctx, one); err == nil {
			t.Errorf("a record of %d bytes opens", len(b))
		}
	}
	r.client.Set(ctx, name, record, 0)
	if _, err := s.Open(ctx, one); err != nil {
		t.Errorf("the record itself: %v", err)
	}
	if _, err := open(t, r.settings(), ringB, nil).Open(ctx, one); err == nil {
		t.Error("a record opens with another secret")
	}
	if _, err := open(t, r.settings(), ringBA, nil).Open(ctx, one); err != nil {
		t.Errorf("after rotation the old secret opens: %v", err)
	}
	id, _, _ := open(t, r.settings(), ringBA, nil).Start(ctx, nil, login("new"))
	if _, err := open(t, r.settings(), ringB, nil).Open(ctx, id); err != nil {
		t.Errorf("after rotation the new secret seals: %v", err)
	}
}

// TestOneGetARequest: an open session costs one command, and tells Redis at most once a minute that it is in use.
func TestOneGetARequest(t *testing.T) {
	r := startRedis(t)
	now := newClock()
	s := open(t, r.settings(), ringA, now.Now)
	ctx := t.Context()
	id, _, _ := s.Start(ctx, nil, login("john"))
	s.Open(ctx, id)
	r.client.ConfigResetStat(ctx)
	for range 100 {
		if _, err := s.Open(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if stats := r.client.Info(ctx, "commandstats").Val(); !strings.Contains(stats, "cmdstat_get:calls=100,") || strings.Contains(stats, "expire") || strings.Contains(stats, "getex") {
		t.Errorf("100 requests cost:\n%s", stats)
	}
	r.client.PExpire(ctx, id.name("test:"), time.Minute)
	now.advance(61 * time.Second)
	s.Open(ctx, id)
	if ttl := r.client.PTTL(ctx, id.name("test:")).Val(); ttl < 14*time.Minute {
		t.Errorf("after a minute the idle timeout is %v, expected it anew", ttl)
	}
}

// TestKillRedis: while Redis is killed and started again nobody gets a wrong answer, and every session is alive after.
func TestKillRedis(t *testing.T) {
	r := startRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, r.settings(), ringA, nil)
	ctx := t.Context()
	ids := make([]ID, 50)
	for i := range ids {
		var err error
		if ids[i], _, err = s.Start(ctx, nil, login("user"+strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	stop, wrong := make(chan struct{}), make(chan string, 1000)
	done := make(chan struct{})
	for w := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := w; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				n := i % len(ids)
				o, err := s.Open(ctx, ids[n])
				switch {
				case err == nil && o.Session.Audiences[0].Subject != "user"+strconv.Itoa(n):
					wrong <- "somebody else's session"
				case err != nil && !isUnavailable(err):
					wrong <- err.Error()
				}
			}
		}()
	}
	for range 3 {
		r.kill()
		r.start()
		r.await()
	}
	close(stop)
	for range 8 {
		<-done
	}
	close(wrong)
	for w := range wrong {
		t.Error("while Redis was away: ", w)
	}
	for end := time.Now().Add(10 * time.Second); s.Ping(ctx) != nil && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	for i, id := range ids {
		if _, err := s.Open(ctx, id); err != nil {
			t.Errorf("session %d after Redis' return: %v", i, err)
		}
	}
}

// TestRefreshedWhileRedisIsAway: the rotated refresh token is saved when Redis is back.
func TestRefreshedWhileRedisIsAway(t *testing.T) {
	r := startRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, r.settings(), ringA, nil)
	ctx := t.Context()
	id, _, _ := s.Start(ctx, nil, login("john"))
	next, err := s.Update(ctx, id, func(_ context.Context, current *Session) (*Session, error) {
		r.kill()
		return current.With(refreshed(current, "second")), nil
	})
	if err != nil || next.Audiences[0].Identity.Tokens.RefreshToken != "second" {
		t.Fatalf("the caller that refreshed: %+v, %v", next, err)
	}
	r.start()
	r.await()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		o, err := s.Open(ctx, id)
		if err == nil && o.Session.Audiences[0].Identity.Tokens.RefreshToken == "second" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the refreshed session was lost: %v", err)
		}
	}
}

// TestLeaseOfTheDead: a lease whose holder is gone runs out, and another replica takes over.
func TestLeaseOfTheDead(t *testing.T) {
	r := startRedis(t)
	s := open(t, r.settings(), ringA, nil)
	ctx := t.Context()
	id, _, _ := s.Start(ctx, nil, login("john"))
	r.client.Set(ctx, id.name("test:")+":lease", "of a process that died", 300*time.Millisecond)
	next, err := s.Update(ctx, id, func(_ context.Context, current *Session) (*Session, error) {
		return current.With(refreshed(current, "second")), nil
	})
	if err != nil || next.Audiences[0].Identity.Tokens.RefreshToken != "second" {
		t.Errorf("got %v", err)
	}
	if r.client.Exists(ctx, id.name("test:")+":lease").Val() != 0 {
		t.Error("the lease wasn't released")
	}
}

func TestTLSAndACL(t *testing.T) {
	ca, cert, key := certificate(t)
	plain := startRedis(t)
	port := plain.port
	plain.kill()
	plain.args = []string{"--port", "0", "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca, "--tls-auth-clients", "no",
		"--user", "gate", "on", ">pass", "~test:*", "+@all", "--user", "default", "off"}
	plain.start()
	plain.await()
	settings := plain.settings()
	settings.Redis.SSL, settings.Redis.SSLVerify, settings.Redis.CAFile = true, true, ca
	settings.Redis.Username, settings.Redis.Password = "gate", "pass"
	s := open(t, settings, ringA, nil)
	id, _, err := s.Start(t.Context(), nil, login("john"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), id); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*RedisSettings){
		"wrong password": func(r *RedisSettings) { r.Password = "wrong" },
		"unknown CA":     func(r *RedisSettings) { r.CAFile = "" },
		"another name":   func(r *RedisSettings) { r.ServerName = "other.example.com" },
		"no TLS":         func(r *RedisSettings) { r.SSL = false },
	} {
		wrong := settings
		change(&wrong.Redis)
		if _, err := open(t, wrong, ringA, nil).Open(t.Context(), id); !isUnavailable(err) {
			t.Errorf("%s: %v, expected the store to be unavailable", name, err)
		}
	}
}

// certificate writes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (ca, cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(private)
	dir := t.TempDir()
	write := func(name, kind string, b []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("ca.pem", "CERTIFICATE", der), write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs8)
}
