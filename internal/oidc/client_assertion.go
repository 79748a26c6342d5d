package oidc

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// assertionType is the value of client_assertion_type (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionLifetime is the lifetime of an assertion, which is sent at once and used once.
const assertionLifetime = time.Minute

// assertionFor returns the JWT that authenticates a client (RFC 7523 §2.2, OIDC Core §9): signed with its secret or its private key, or
// read from client_assertion_file.
func (c *Client) assertionFor(method string, m *Metadata, client Credentials) (string, error) {
	if method == "client_secret_jwt" {
		alg := c.alg
		if !strings.HasPrefix(alg, "HS") {
			alg = "HS256"
		}
		return c.assert(m, client.ID, jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: []byte(client.Secret)}, nil)
	}
	if c.assertion != nil {
		return c.assertion.read()
	}
	signing, err := c.signingKey(c.privateAlg())
	if err != nil {
		return "", err
	}
	return c.assert(m, client.ID, signing, c.certificates)
}

// assert signs an assertion. Its only audience is the issuer, so that no other server can use it, or the token endpoint for servers that
// require that.
func (c *Client) assert(m *Metadata, id string, key jose.SigningKey, certificates map[jose.HeaderKey]any) (string, error) {
	audience := m.IssuerURL
	if c.settings.ClientAssertionAudience == "token_endpoint" {
		audience = m.TokenURL
	}
	now := c.issuer.now()
	return signJWT("JWT", map[string]any{
		"iss": id, "sub": id, "aud": audience, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(assertionLifetime).Unix(),
	}, key, certificates)
}

// maxAssertion is how much of client_assertion_file is read, in bytes.
const maxAssertion = 64 << 10

// An assertionFile is a client_assertion_file: another program renews the assertion in it, such as Kubernetes the token of a service
// account. Then the client needs no secret.
type assertionFile struct {
	name string

	mu       sync.Mutex
	modified time.Time
	size     int64
	text     string
}

// read returns the assertion in the file. It reads the file again if the file has changed.
func (a *assertionFile) read() (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	info, err := os.Stat(a.name)
	if err != nil {
		return "", fmt.Errorf("client_assertion_file: %w", err)
	}
	if a.text != "" && info.ModTime().Equal(a.modified) && info.Size() == a.size {
		return a.text, nil
	}
	f, err := os.Open(a.name)
	if err != nil {
		return "", fmt.Errorf("client_assertion_file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxAssertion))
	if err != nil {
		return "", fmt.Errorf("client_assertion_file: %w", err)
	}
	text := strings.TrimSpace(string(b))
	if !IsJWS(text) {
		return "", fmt.Errorf("client_assertion_file: %s holds no JWT", a.name)
	}
	a.text, a.modified, a.size = text, info.ModTime(), info.Size()
	return text, nil
}
