package oidc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/provider"
)

func encoded(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

// decryptionKeys returns a new RSA key and a new EC key.
func decryptionKeys(t testing.TB) (r, e DecryptionJWK) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, errPoint := curve.PublicKey.Bytes() // 4, then the coordinates (SEC 1 §2.3.3)
	d, errD := curve.Bytes()
	if err := errors.Join(errPoint, errD); err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	r = DecryptionJWK{Kty: "RSA", Use: "enc", Kid: "r", N: encoded(private.N), E: "AQAB", D: auth.Secret(encoded(private.D)),
		P: auth.Secret(encoded(private.Primes[0])), Q: auth.Secret(encoded(private.Primes[1])),
		DP: auth.Secret(encoded(private.Precomputed.Dp)), DQ: auth.Secret(encoded(private.Precomputed.Dq)),
		QI: auth.Secret(encoded(private.Precomputed.Qinv))}
	e = DecryptionJWK{Kty: "EC", Crv: "P-256", X: text(point[1:33]), Y: text(point[33:]), D: auth.Secret(text(d))}
	return r, e
}

// beginEncrypted starts a provider, and returns the gate's client with two decryption keys.
func beginEncrypted(t testing.TB, change func(*Settings)) (*provider.Provider, *Client, *clock) {
	r, e := decryptionKeys(t)
	return begin(t, func(s *Settings) {
		asJSON(s)
		s.ClientDecryptionJWK = []DecryptionJWK{r, e}
		if change != nil {
			change(s)
		}
	})
}

// sealedFor encrypts a text for the client with the key of a type.
func sealedFor(
	t testing.TB, c *Client, alg jose.KeyAlgorithm, enc jose.ContentEncryption, text string, options *jose.EncrypterOptions,
) string {
	t.Helper()
	for _, k := range c.EncryptionKeys() {
		if keyTypeOf(k.Key) != encryptionKeyType(string(alg)) {
			continue
		}
		encrypter, err := jose.NewEncrypter(enc, jose.Recipient{Algorithm: alg, Key: &k}, options)
		if err != nil {
			t.Fatal(err)
		}
		object, err := encrypter.Encrypt([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := object.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	t.Fatalf("no key for %s", alg)
	return ""
}

// TestDecryptedAlgorithms decrypts an ID token by each algorithm that is accepted.
func TestDecryptedAlgorithms(t *testing.T) {
	p, c, _ := beginEncrypted(t, nil)
	token := p.IDToken("john", "app", nil)
	for _, alg := range keyAlgorithms {
		for _, enc := range contentEncryptions {
			sealed := sealedFor(t, c, alg, enc, token, nil)
			i, err := c.Issued(t.Context(), auth.Tokens{IDToken: sealed, AccessToken: "opaque"}, IDTokenWant{Grant: GrantAuthorizationCode})
			if err != nil || i.Subject != "john" || i.Tokens.IDToken != token {
				t.Errorf("%s %s: %v, %v", alg, enc, i, err)
			}
		}
	}
}

// TestUndecrypted refuses everything else.
func TestUndecrypted(t *testing.T) {
	p, c, _ := beginEncrypted(t, nil)
	_, other, _ := beginEncrypted(t, nil)
	token := p.IDToken("john", "app", nil)
	seal := func(alg jose.KeyAlgorithm, key any) string {
		named := jose.JSONWebKey{Key: key, KeyID: c.decryption[0].KeyID}
		return provider.Encrypt(provider.Encryption{Alg: alg, Enc: jose.A256GCM}, named, token)
	}
	r := c.EncryptionKeys()[0].Key
	secret := bytes.Repeat([]byte{1}, 32)
	good := sealedFor(t, c, jose.ECDH_ES, jose.A256GCM, token, nil)
	parts := strings.Split(good, ".")
	cut := func(n int, text string) string {
		changed := append([]string{}, parts...)
		changed[n] = text
		return strings.Join(changed, ".")
	}
	critical := (&jose.EncrypterOptions{}).WithHeader("crit", []string{"x"})
	for name, test := range map[string]struct{ token, says string }{
		"RSA1_5":             {seal(jose.RSA1_5, r), "it isn't a JWE with alg"},
		"dir":                {seal(jose.DIRECT, secret), "it isn't a JWE with alg"},
		"A256KW":             {seal(jose.A256KW, secret), "it isn't a JWE with alg"},
		"PBES2":              {seal(jose.PBES2_HS256_A128KW, secret), "it isn't a JWE with alg"},
		"A192GCM":            {sealedFor(t, c, jose.ECDH_ES, jose.A192GCM, token, nil), "it isn't a JWE with alg"},
		"ECDH-ES+A192KW":     {sealedFor(t, c, jose.ECDH_ES_A192KW, jose.A128GCM, token, nil), "it isn't a JWE with alg"},
		"another's key":      {sealedFor(t, other, jose.ECDH_ES, jose.A256GCM, token, nil), errDecryption.Error()},
		"another's RSA key":  {sealedFor(t, other, jose.RSA_OAEP, jose.A256GCM, token, nil), errDecryption.Error()},
		"twice":              {sealedFor(t, c, jose.ECDH_ES, jose.A256GCM, good, nil), "it is encrypted twice"},
		"not signed":         {sealedFor(t, c, jose.ECDH_ES, jose.A256GCM, `{"iss":"x"}`, nil), errMalformed.Error()},
		"nothing inside":     {sealedFor(t, c, jose.ECDH_ES, jose.A256GCM, "", nil), errMalformed.Error()},
		"another ciphertext": {cut(3, "AAAA"+parts[3][4:]), errDecryption.Error()},
		"no tag":             {cut(4, ""), errDecryption.Error()},
		"no header":          {cut(0, ""), "it isn't a JWE"},
		"empty":              {"....", "it isn't a JWE"},
		"crit":               {sealedFor(t, c, jose.ECDH_ES, jose.A256GCM, token, critical), ""},
	} {
		_, err := c.Issued(t.Context(), auth.Tokens{IDToken: test.token, AccessToken: "opaque"}, IDTokenWant{Grant: GrantAuthorizationCode})
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, expected %q", name, err, test.says)
		}
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("%s: the error has the token: %v", name, err)
		}
	}
	_, plain, _ := begin(t, nil)
	if _, err := plain.decrypted(good, "", ""); err == nil || !strings.Contains(err.Error(), "add client_decryption_jwk") {
		t.Errorf("without keys: %v", err)
	}
}

// TestDecompressed: compressed content passes up to a bound.
func TestDecompressed(t *testing.T) {
	p, c, _ := beginEncrypted(t, nil)
	deflate := &jose.EncrypterOptions{Compression: jose.DEFLATE}
	token := p.IDToken("john", "app", nil)
	if got, err := c.decrypted(sealedFor(t, c, jose.ECDH_ES, jose.A256GCM, token, deflate), "", ""); err != nil || got != token {
		t.Errorf("got %q, %v", got, err)
	}
	bomb := sealedFor(t, c, jose.ECDH_ES, jose.A256GCM, strings.Repeat("a", 64<<20), deflate)
	if len(bomb) > maxDocument {
		t.Fatalf("the bomb has %d bytes, and a response may have %d", len(bomb), maxDocument)
	}
	if _, err := c.decrypted(bomb, "", ""); err == nil {
		t.Error("64 MB passed")
	}
	small := sealedFor(t, c, jose.ECDH_ES, jose.A256GCM, strings.Repeat("a", 200_000), deflate)
	if _, err := c.ParseResponse(small); err == nil || len(small) > maxEncrypted {
		t.Errorf("a browser's %d bytes with 200 kB in them: %v", len(small), err)
	}
	if _, err := c.ParseResponse(strings.Repeat("a", maxEncrypted) + "...."); !errors.Is(err, errTooLong) {
		t.Errorf("a long JWE of a browser: %v", err)
	}
}

// TestDemandedEncryption: an answer that must be encrypted by an algorithm isn't accepted plain, or by another one.
func TestDemandedEncryption(t *testing.T) {
	p, c, now := beginEncrypted(t, func(s *Settings) {
		s.IDTokenEncryptedResponseAlg, s.AuthorizationEncryptedResponseAlg = "RSA-OAEP-256", "RSA-OAEP-256"
	})
	token := p.IDToken("john", "app", map[string]any{"nonce": "n", "c_hash": halfHash("RS256", "c"), "s_hash": halfHash("RS256", "s")})
	response := p.SignJWT(map[string]any{"iss": p.Issuer(), "aud": "app", "exp": now.Now().Add(time.Minute).Unix(), "code": "c"})
	for name, test := range map[string]struct {
		change func(string) string
		ok     bool
	}{
		"plain":   {func(text string) string { return text }, false},
		"as said": {func(text string) string { return sealedFor(t, c, jose.RSA_OAEP_256, jose.A128GCM, text, nil) }, true},
		"another": {func(text string) string { return sealedFor(t, c, jose.RSA_OAEP, jose.A128GCM, text, nil) }, false},
	} {
		tokens := auth.Tokens{IDToken: test.change(token), AccessToken: "x"}
		_, issued := c.Issued(t.Context(), tokens, IDTokenWant{Grant: GrantAuthorizationCode})
		_, front := c.FrontChannelIDToken(t.Context(), test.change(token), FrontChannel{"n", "s", "c"})
		_, parsed := c.ParseResponse(test.change(response))
		for what, err := range map[string]error{"token response": issued, "front channel": front, "authorization response": parsed} {
			if (err == nil) != test.ok {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		if !test.ok && (!errors.Is(issued, ErrNotSetUp) || errors.Is(parsed, ErrUnavailable)) {
			t.Errorf("%s: %v; %v", name, issued, parsed)
		}
	}
}

// TestEncryptedAnswers decrypts userinfo and introspection responses. The JWT within is what upstreams get.
func TestEncryptedAnswers(t *testing.T) {
	p, c, now := beginEncrypted(t, func(s *Settings) {
		s.UserinfoAccept, s.IntrospectionAccept = "application/jwt", typeIntrospectionJWT
		s.UserinfoEncryptedResponseAlg, s.IntrospectionEncryptedResponseAlg = "ECDH-ES", "ECDH-ES"
	})
	seal := func(text string) string { return sealedFor(t, c, jose.ECDH_ES, jose.A256GCM, text, nil) }
	claims := map[string]any{"iss": p.Issuer(), "aud": "app", "sub": "john"}
	signed := p.SignJWT(claims)
	introspection := p.SignJWT(map[string]any{"iss": p.Issuer(), "aud": "app", "iat": now.Now().Unix(),
		"token_introspection": map[string]any{"active": true, "sub": "john"}}, provider.WithHeader("typ", "token-introspection+jwt"))
	for name, test := range map[string]struct {
		userinfo, introspection string
		okUserinfo, okOther     bool
		jwt                     string
	}{
		"signed and encrypted": {seal(signed), seal(introspection), true, true, signed},
		"only encrypted":       {seal(`{"sub":"john"}`), seal(`{"active":true}`), true, false, ""},
		"plain":                {signed, introspection, false, false, ""},
		"another key":          {seal(p.SignJWT(map[string]any{"iss": "https://evil", "sub": "john"})), seal(signed), false, false, ""},
	} {
		token := name
		p.Break(provider.Userinfo, answer("application/jwt", test.userinfo))
		p.Break(provider.Introspection, answer(typeIntrospectionJWT, test.introspection))
		u, err := c.Userinfo(t.Context(), auth.Tokens{AccessToken: token}, Caller{})
		if (err == nil) != test.okUserinfo || err == nil && (u.Claims.String("sub") != "john" || u.JWT != test.jwt) {
			t.Errorf("%s: userinfo %v, %v", name, u, err)
		}
		i, err := c.Introspect(t.Context(), token, Caller{})
		if (err == nil) != test.okOther || err == nil && (i.Subject != "john" || i.IntrospectionJWT != introspection) {
			t.Errorf("%s: introspection %v, %v", name, i, err)
		}
	}
}

// complaints are the mistakes that a check reports.
type complaints struct {
	check.Report
	all []string
}

func (c *complaints) Complain(_, format string, args ...any) {
	c.all = append(c.all, fmt.Sprintf(format, args...))
}

// answer returns a handler that answers with a body of a type.
func answer(kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		io.WriteString(w, body)
	}
}

// TestDecryptionJWK judges keys, and checks the public half that is published.
func TestDecryptionJWK(t *testing.T) {
	r, e := decryptionKeys(t)
	with := func(j DecryptionJWK, change func(*DecryptionJWK)) DecryptionJWK { change(&j); return j }
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	for name, test := range map[string]struct {
		keys []DecryptionJWK
		alg  string
		says string
	}{
		"both": {[]DecryptionJWK{r, e}, "ECDH-ES", ""},
		"alg":  {[]DecryptionJWK{with(r, func(j *DecryptionJWK) { j.Alg = "RSA-OAEP" })}, "RSA-OAEP", ""},
		"another alg": {[]DecryptionJWK{with(r, func(j *DecryptionJWK) { j.Alg = "RSA-OAEP" })}, "RSA-OAEP-256",
			"needs a key of type RSA"},
		"another type": {[]DecryptionJWK{r}, "ECDH-ES", "needs a key of type EC"},
		"none":         {nil, "ECDH-ES", "needs a key of type EC"},
		"alg of another type": {[]DecryptionJWK{with(e, func(j *DecryptionJWK) { j.Alg = "RSA-OAEP" })}, "",
			"its alg is RSA-OAEP, which needs another kty than EC"},
		"one twice": {[]DecryptionJWK{e, e}, "", "another key has the same kid"},
		"no d":      {[]DecryptionJWK{with(e, func(j *DecryptionJWK) { j.D = "" })}, "", "isn't a private key"},
		"1024 bits": {[]DecryptionJWK{{Kty: "RSA", N: encoded(small.N), E: "AQAB", D: auth.Secret(encoded(small.D)),
			P: auth.Secret(encoded(small.Primes[0])), Q: auth.Secret(encoded(small.Primes[1]))}}, "", "it has 1024 bits"},
	} {
		s := &Settings{}
		s.IntrospectionAccept = typeIntrospectionJWT
		s.ClientDecryptionJWK, s.IDTokenEncryptedResponseAlg = test.keys, test.alg
		found := &complaints{}
		s.checkEncryption(check.Checker{Report: found})
		if text := strings.Join(found.all, "; "); (text == "") != (test.says == "") || !strings.Contains(text, test.says) {
			t.Errorf("%s: %q, expected %q", name, text, test.says)
		}
	}
	_, c, _ := begin(t, func(s *Settings) { s.ClientDecryptionJWK = []DecryptionJWK{r, e} })
	for n, k := range c.EncryptionKeys() {
		b, err := k.MarshalJSON()
		if err != nil || k.Use != "enc" || k.KeyID == "" || !k.IsPublic() || strings.Contains(string(b), `"d"`) {
			t.Errorf("key %d: %s, %v", n, b, err)
		}
	}
}
