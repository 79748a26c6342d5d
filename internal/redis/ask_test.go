package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/freeport"
	"sallyport/internal/redis"
	"sallyport/internal/redis/redistest"
)

// TestAsk checks that the error for wrong settings of a real server names the setting to change.
func TestAsk(t *testing.T) {
	cert, key := mustCertificate(t)
	plain, secured := redistest.Start(t), redistest.StartTLS(t, cert, key)
	locked := redistest.Start(t, "--requirepass", "secret", "--save", "")
	locked.Password = "secret"
	if err := locked.Client(t, 0).Do(t.Context(), "ACL", "SETUSER", "reader", "on", ">secret", "+get", "~other:*").Err(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		server *redistest.Server
		change func(*redis.Settings)
		want   string // part of the error; empty: none
	}{
		"good":              {plain, func(*redis.Settings) {}, ""},
		"good with TLS":     {secured, func(s *redis.Settings) { s.SSL, s.CAFile, s.ServerName = true, cert, "redis.internal" }, ""},
		"no such database":  {plain, func(s *redis.Settings) { s.Database = 99 }, "no database 99: set redis.database"},
		"no password":       {locked, func(s *redis.Settings) { s.Username, s.Password = "", "" }, "set redis.password"},
		"wrong password":    {locked, func(s *redis.Settings) { s.Password = "guess" }, "set redis.password"},
		"no permission":     {locked, func(s *redis.Settings) { s.Username, s.Password = "reader", "secret" }, "redis.prefix"},
		"TLS against plain": {plain, func(s *redis.Settings) { s.SSL = true }, "set redis.ssl to false"},
		"plain against TLS": {secured, func(*redis.Settings) {}, "set redis.ssl to true"},
		"another name":      {secured, func(s *redis.Settings) { s.SSL, s.CAFile = true, cert }, "set redis.server_name"},
		"another authority": {secured, func(s *redis.Settings) { s.SSL, s.ServerName = true, "redis.internal" }, "set redis.ca_file"},
		"nobody there":      {plain, func(s *redis.Settings) { s.Port = freeport.Port() }, "set redis.host and redis.port"},
		"no such name":      {plain, func(s *redis.Settings) { s.Host = "nobody.invalid" }, "set redis.host"},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.server.Settings()
			c.change(&s)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := s.Ask(ctx)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, expected it to say %q", err, c.want)
			case err != nil && (strings.Contains(err.Error(), "guess") || strings.Contains(err.Error(), "secret")):
				t.Errorf("the password is shown: %v", err)
			}
		})
	}
}

// mustCertificate writes a self-signed CA certificate for redis.internal, and its key.
func mustCertificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"redis.internal"},
		IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert},
		keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
