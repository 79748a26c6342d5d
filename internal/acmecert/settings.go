// Package acmecert obtains the certificates of listeners from an ACME server (RFC 8555), keeps them in a folder or in Redis, where replicas
// share them, and renews them. Only its own goroutine orders certificates: a TLS handshake never does.
//
// It uses package acme for the protocol and the folder of package autocert. It doesn't use autocert.Manager, which orders in handshakes,
// has neither a lease nor a back-off that replicas share, and doesn't tell why an order failed.
package acmecert

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/redis"
)

// Settings are the acme block of a listener's TLS.
type Settings struct {
	// Directory is the server's directory URL (RFC 8555 §7.1.1).
	Directory string `yaml:"directory" default:"https://acme-v02.api.letsencrypt.org/directory"`
	AgreeTOS  bool   `yaml:"agree_tos" default:"false"` // to the server's terms of service
	Email     string `yaml:"email"`                     // the contact of a new account
	CAFile    string `yaml:"ca_file"`                   // PEM; trusted in addition to the system's CAs

	Hosts       []string      `yaml:"hosts"` // package config adds the hosts of the routes to an empty list
	KeyType     string        `yaml:"key_type" default:"ecdsa" enum:"ecdsa,rsa"`
	Challenge   string        `yaml:"challenge" default:"tls-alpn-01" enum:"tls-alpn-01,http-01"`
	RenewBefore time.Duration `yaml:"renew_before" default:"720h" min:"1m"` // the expiry; never more than half of the lifetime

	Storage string         `yaml:"storage" default:"folder" enum:"folder,redis"`
	Folder  string         `yaml:"folder" live:"true"` // for storage folder; only this process may write it
	Redis   redis.Settings `yaml:"redis"`              // for storage redis; replicas share the certificates
	Secret  []auth.Secret  `yaml:"secret"`             // seals the records in Redis; the newest first, 32 bytes or more each
}

// The challenges by which the server verifies that a host leads to the gate.
const (
	tlsALPN01 = "tls-alpn-01" // RFC 8737
	http01    = "http-01"     // RFC 8555 §8.3
)

// UsesHTTP reports whether the challenge is answered by a listener without TLS.
func (s *Settings) UsesHTTP() bool { return s.Challenge == http01 }

// Check reports what is wrong with the settings.
func (s *Settings) Check(c check.Checker) {
	c.Must("agree_tos", s.AgreeTOS, "an ACME server issues certificates only to those who agree to its terms of service: "+
		"read them, and write agree_tos: true")
	c.One("directory", s.Directory, func(text string) error { return check.URL(text, "https") })
	c.One("email", s.Email, checkEmail)
	c.PEM("ca_file", s.CAFile)
	c.Each("hosts", s.Hosts, CheckHost)
	c.Must("folder", s.Storage != "folder" || s.Folder != "", "storage: folder needs the path of a folder: "+
		"add it, or write storage: redis, which replicas share")
	c.Must("folder", s.Storage == "folder" || s.Folder == "", "it isn't used with storage: %s: take it out", s.Storage)
	if s.Storage == "folder" {
		c.One("folder", s.Folder, checkFolder)
	}
	c.Must("storage", s.Storage != "redis" || len(s.Secret) > 0, "redis needs a secret that seals the private keys: "+
		"add secret: (openssl rand -base64 32)")
	c.Secrets("secret", s.Secret)
	s.Redis.Check(c, "redis")
}

// CheckHost returns an error for a host for which the gate can't have a certificate.
func CheckHost(host string) error {
	_, err := netip.ParseAddr(host)
	switch {
	case strings.HasPrefix(host, "*."):
		return errors.New("a wildcard certificate needs a challenge by DNS, which the gate doesn't have: write each host by its name")
	case err == nil:
		return errors.New("a certificate here is for a name, not for an address: write app.example.com")
	case len(host) > 253:
		return errors.New("a host name has 253 characters at most (RFC 1035 §2.3.4)")
	}
	return check.Host(host)
}

var email = regexp.MustCompile(`^[^\s@,?:]+@[^\s@,?:]+$`)

// checkEmail checks a contact (RFC 8555 §7.3).
func checkEmail(text string) error {
	if !email.MatchString(text) {
		return errors.New("expected one mail address such as ops@example.com")
	}
	return nil
}

// checkFolder returns an error for a folder that other users may read, because it has private keys. The gate makes a folder that doesn't
// exist.
func checkFolder(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return check.Cause(err)
	case !info.IsDir():
		return errors.New("it isn't a folder: write the path of one, which the gate makes if it doesn't exist")
	case info.Mode().Perm()&0o077 != 0:
		return errors.New("other users may read or write it, and it has private keys: chmod 700")
	}
	return nil
}
