package oidc

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
)

// assertionType is client_assertion_type (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionLife is how long an assertion is good: it is sent at once, and used once.
const assertionLife = time.Minute

// assertionFor returns the JWT that proves a client (RFC 7523 §2.2, OIDC Core §9): signed with its secret, with its
// private key, or written by somebody else into a file.
func (c *Client) assertionFor(method string, m *Metadata, who Credentials) (string, error) {
	if method == "client_secret_jwt" {
		alg := c.alg
		if !strings.HasPrefix(alg, "HS") {
			alg = "HS256"
		}
		return c.assert(m, who.ID, jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: []byte(who.Secret)}, nil)
	}
	if c.assertion != nil {
		return c.assertion.read()
	}
	alg := c.privateAlg()
	key := c.jwk
	if key == nil {
		if c.keys == nil {
			return "", errors.New("there is neither client_jwk nor client_assertion_file, and the gate makes no keys: write keys: beside routes:")
		}
		var err error
		if key, err = c.keys(alg); err != nil {
			return "", err
		}
	}
	signing, err := signingKey(alg, key)
	if err != nil {
		return "", err
	}
	return c.assert(m, who.ID, signing, c.certificates)
}

// privateAlg is client_alg, else the key's own, else RS256.
func (c *Client) privateAlg() string {
	own := ""
	if c.jwk != nil {
		own = c.jwk.Algorithm
	}
	if strings.HasPrefix(c.alg, "HS") {
		return cmp.Or(own, "RS256")
	}
	return cmp.Or(c.alg, own, "RS256")
}

// GateKeyAlg returns the algorithm for which the client needs a key of the gate's, or "": the client proves itself in another
// way, or has a key or an assertion of its own.
func (c *Client) GateKeyAlg() string {
	if c.jwk != nil || c.assertion != nil {
		return ""
	}
	for e := range endpoints {
		if c.authMethod(c.place(&Metadata{}, e)) == "private_key_jwt" {
			return c.privateAlg()
		}
	}
	return ""
}

// assert signs an assertion. Its one audience is the issuer, so that no other server can use it, or the token endpoint where
// a server insists.
func (c *Client) assert(m *Metadata, id string, key jose.SigningKey, certificates map[jose.HeaderKey]any) (string, error) {
	audience := m.Issuer
	if c.settings.ClientAssertionAudience == "token_endpoint" {
		audience = m.TokenEndpoint
	}
	now := c.issuer.now()
	payload, err := json.Marshal(map[string]any{
		"iss": id, "sub": id, "aud": audience, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	for name, v := range certificates {
		options.WithHeader(name, v)
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// maxAssertion is the longest assertion that a file may hold, in bytes.
const maxAssertion = 64 << 10

// An assertionFile holds an assertion that another program keeps fresh, such as the token of a Kubernetes service account:
// then the client has no secret at all.
type assertionFile struct {
	name string

	mu       sync.Mutex
	modified time.Time
	size     int64
	text     string
}

// read returns the file's text, read again if it has changed.
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

// A JWK is a private key as it stands in the configuration (RFC 7517, RFC 7518 §6): every member is text.
type JWK struct {
	Kty    string      `yaml:"kty" required:"true" enum:"RSA,EC,OKP"`
	Use    string      `yaml:"use" enum:"sig"`
	KeyOps []string    `yaml:"key_ops"` // sign among them
	Alg    string      `yaml:"alg"`
	Kid    string      `yaml:"kid"`
	Issuer string      `yaml:"issuer"` // of the key, for people
	N      string      `yaml:"n"`
	E      string      `yaml:"e"`
	Crv    string      `yaml:"crv"`
	X      string      `yaml:"x"`
	Y      string      `yaml:"y"`
	D      auth.Secret `yaml:"d" required:"true"`
	P      auth.Secret `yaml:"p"`
	Q      auth.Secret `yaml:"q"`
	DP     auth.Secret `yaml:"dp"`
	DQ     auth.Secret `yaml:"dq"`
	QI     auth.Secret `yaml:"qi"`

	X5U     string   `yaml:"x5u"` // by these four an assertion's header names the certificate (RFC 7515 §4.1.5), as some servers want
	X5C     []string `yaml:"x5c"`
	X5T     string   `yaml:"x5t"`
	X5TS256 string   `yaml:"x5t#S256"`
}

// Check says what is wrong with a configured key.
func (j JWK) Check() error {
	if len(j.KeyOps) > 0 && !slices.Contains(j.KeyOps, "sign") {
		return errors.New("its key_ops don't let it sign: add sign, or take key_ops out")
	}
	key, err := j.private()
	if err != nil || len(j.X5C) == 0 {
		return err
	}
	der, err := base64.StdEncoding.DecodeString(j.X5C[0])
	if err != nil {
		return errors.New("its x5c isn't base64 of a DER certificate (RFC 7517 §4.7)")
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return errors.New("its x5c isn't base64 of a DER certificate (RFC 7517 §4.7)")
	}
	if public, ok := key.Public().Key.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(leaf.PublicKey) {
		return errors.New("the first certificate of its x5c is another key's")
	}
	return nil
}

// certificates are what an assertion's header says of the key's certificate.
func (j JWK) certificates() map[jose.HeaderKey]any {
	header := map[jose.HeaderKey]any{}
	for name, value := range map[jose.HeaderKey]string{"x5u": j.X5U, "x5t": j.X5T, "x5t#S256": j.X5TS256} {
		if value != "" {
			header[name] = value
		}
	}
	if len(j.X5C) > 0 {
		header["x5c"] = j.X5C
	}
	return header
}

func (j JWK) private() (*jose.JSONWebKey, error) {
	members := map[string]any{}
	for name, value := range map[string]string{
		"kty": j.Kty, "use": j.Use, "alg": j.Alg, "kid": j.Kid, "n": j.N, "e": j.E, "crv": j.Crv, "x": j.X, "y": j.Y,
		"d": string(j.D), "p": string(j.P), "q": string(j.Q), "dp": string(j.DP), "dq": string(j.DQ), "qi": string(j.QI),
	} {
		if value != "" {
			members[name] = value
		}
	}
	b, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(b); err != nil {
		return nil, errors.New("it isn't a private key (RFC 7517): write the members of an RSA, EC or OKP key, d among them")
	}
	if !key.Valid() || key.IsPublic() {
		return nil, errors.New("it isn't a private key: d is missing or doesn't fit the others")
	}
	return &key, nil
}
