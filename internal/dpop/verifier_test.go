package dpop

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"sallyport/internal/dpop/dpoptest"
)

const (
	orders = "https://app.example/orders"
	token  = "an-access-token"
)

// A rig verifies proofs with a clock that stands still until a test moves it.
type rig struct {
	*Verifier
	now time.Time
}

func newRig() *rig {
	r := &rig{now: time.Now().Truncate(time.Second)}
	r.Verifier = NewVerifier(Config{
		Algorithms: Algorithms, Lifetime: 5 * time.Minute, Tolerance: time.Minute,
		Replays: &Replays{Memory: NewMemory()}, Now: func() time.Time { return r.now },
	})
	return r
}

// verify does all checks of proofs for GET orders with the token.
func (r *rig) verify(t *testing.T, thumbprint string, proofs ...string) error {
	t.Helper()
	p, err := r.Verify(&Request{Proofs: proofs, Method: "GET", URL: orders})
	if err != nil {
		return err
	}
	if err := p.Confirm(token, thumbprint); err != nil {
		return err
	}
	return r.UseOnce(t.Context(), p, newUser())
}

// TestWrongProofs checks each rule of RFC 9449 §4.3 with a proof that breaks only this rule.
func TestWrongProofs(t *testing.T) {
	key, stranger := dpoptest.NewKey(), dpoptest.NewKey()
	claim, header := dpoptest.Claim, dpoptest.Header
	jwk := func(name string, value any) func(*dpoptest.Proof) {
		with := maps.Clone(key.JWK())
		with[name] = value
		return header("jwk", with)
	}
	for name, c := range map[string]struct {
		change func(*dpoptest.Proof)
		want   string // the beginning of the error; empty: the proof is good
	}{
		"good":                      {claim("x", 1), ""},
		"typ missing":               {header("typ", nil), "typ"},
		"typ JWT":                   {header("typ", "JWT"), "typ"},
		"typ in capitals":           {header("typ", "DPoP+JWT"), ""},
		"crit":                      {header("crit", []string{"exp"}), "crit"},
		"alg none":                  {header("alg", "none"), "alg"},
		"alg HS256":                 {header("alg", "HS256"), "alg"},
		"alg of another type":       {header("alg", "RS256"), "jwk: the key isn't one"},
		"alg of another curve":      {header("alg", "ES384"), "jwk: the key isn't one"},
		"alg missing":               {header("alg", nil), "alg"},
		"jwk missing":               {header("jwk", nil), "jwk"},
		"jwk a text":                {header("jwk", "key"), "jwk"},
		"private key":               {jwk("d", "AA"), "jwk: it has the member d"},
		"prime of a private key":    {jwk("p", "AA"), "jwk: it has the member p"},
		"symmetric key inside":      {jwk("k", "AA"), "jwk: it has the member k"},
		"symmetric key":             {header("jwk", map[string]any{"kty": "oct", "k": "AA"}), "jwk: it has the member k"},
		"unknown kty":               {jwk("kty", "oct"), "jwk"},
		"key for encryption":        {jwk("use", "enc"), "jwk: use"},
		"key for another algorithm": {jwk("alg", "ES384"), "jwk: alg"},
		"point off the curve":       {jwk("y", key.JWK()["x"]), "jwk"},
		"x a number":                {jwk("x", 1), "jwk"},
		"another key":               {header("jwk", stranger.JWK()), "the key in the proof doesn't verify"},
		"method":                    {claim("htm", "POST"), "htm"},
		"method in small letters":   {claim("htm", "get"), "htm"},
		"method missing":            {claim("htm", nil), "htm"},
		"path":                      {claim("htu", orders+"/1"), "htu"},
		"host":                      {claim("htu", "https://other.example/orders"), "htu"},
		"scheme":                    {claim("htu", "http://app.example/orders"), "htu"},
		"port":                      {claim("htu", "https://app.example:8443/orders"), "htu"},
		"user in the URL":           {claim("htu", "https://app.example@other.example/orders"), "htu"},
		"path alone":                {claim("htu", "/orders"), "htu"},
		"URL a list":                {claim("htu", []string{orders}), "htu"},
		"URL missing":               {claim("htu", nil), "htu"},
		"query of the URL":          {claim("htu", orders+"?a=b"), ""},
		"other form of the URL":     {claim("htu", "HTTPS://App.Example:443/%6frders#x"), ""},
		"jti missing":               {claim("jti", nil), "jti"},
		"jti empty":                 {claim("jti", ""), "jti"},
		"jti a number":              {claim("jti", 7), "jti"},
		"jti long":                  {claim("jti", strings.Repeat("x", maxID+1)), "jti"},
		"iat missing":               {claim("iat", nil), "iat"},
		"iat a text":                {claim("iat", "1"), "iat"},
		"iat negative":              {claim("iat", -1), "iat"},
		"iat huge":                  {claim("iat", 1e300), "iat"},
		"ath missing":               {claim("ath", nil), "ath"},
		"ath of another token":      {claim("ath", "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"), "ath"},
		"nonce a number":            {claim("nonce", 7), "nonce"},
		"nonce without need":        {claim("nonce", "of another server"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			check(t, r.verify(t, key.Thumbprint(), key.Proof("GET", orders, token, dpoptest.At(r.now), c.change)), c.want)
		})
	}
}

// check compares the beginning of an error.
func check(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v, expected no error", err)
	case want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)):
		t.Errorf("got %v, expected %s", err, want)
	}
}

func TestWrongForms(t *testing.T) {
	r, key := newRig(), dpoptest.NewKey()
	proof := func(changes ...func(*dpoptest.Proof)) string {
		return key.Proof("GET", orders, token, append([]func(*dpoptest.Proof){dpoptest.At(r.now)}, changes...)...)
	}
	parts := strings.Split(proof(), ".")
	object := func(part string) []byte {
		b, _ := base64.RawURLEncoding.DecodeString(part)
		return b
	}
	key2 := []byte(strings.Replace(string(object(parts[0])), `"crv"`, `"x":"AA","crv"`, 1))
	const head, payload = "the header of the proof", "the claims of the proof"
	twice := func(b []byte, member string) []byte { return append([]byte("{"+member+","), b[1:]...) }
	for name, c := range map[string]struct {
		proofs []string
		want   string
	}{
		"none":                    {nil, "expected one header"},
		"two":                     {[]string{proof(), proof()}, "expected one header"},
		"two in one":              {[]string{proof() + ", " + proof()}, "the proof isn't a JWT"},
		"empty":                   {[]string{""}, "the proof isn't a JWT"},
		"no JWT":                  {[]string{"a.b"}, "the proof isn't a JWT"},
		"huge":                    {[]string{proof(dpoptest.Claim("x", strings.Repeat("x", maxProof)))}, "the proof is longer"},
		"padding":                 {[]string{parts[0] + "=." + parts[1] + "." + parts[2]}, head},
		"no base64":               {[]string{"ä." + parts[1] + "." + parts[2]}, head},
		"a list":                  {[]string{key.Sign([]byte("[]"), object(parts[1]))}, head},
		"null":                    {[]string{key.Sign([]byte("null"), object(parts[1]))}, head},
		"trailing bytes":          {[]string{key.Sign(object(parts[0]), append(object(parts[1]), "{}"...))}, payload},
		"alg twice":               {[]string{key.Sign(twice(object(parts[0]), `"alg":"none"`), object(parts[1]))}, head},
		"htm twice":               {[]string{key.Sign(object(parts[0]), twice(object(parts[1]), `"htm":"POST"`))}, payload},
		"member of the key twice": {[]string{key.Sign(key2, object(parts[1]))}, head},
		"changed claims": {[]string{parts[0] + "." + strings.Split(proof(), ".")[1] + "." + parts[2]},
			"the key in the proof doesn't verify"},
		"no signature": {[]string{parts[0] + "." + parts[1] + "."}, "the key in the proof doesn't verify"},
	} {
		t.Run(name, func(t *testing.T) { check(t, r.verify(t, key.Thumbprint(), c.proofs...), c.want) })
	}
	check(t, r.verify(t, dpoptest.NewKey().Thumbprint(), proof()), "jkt")
	check(t, r.verify(t, "", proof()), "jkt")
}

// TestAge checks that a proof is valid for its lifetime, and may be ahead by the tolerance.
func TestAge(t *testing.T) {
	key := dpoptest.NewKey()
	for age, want := range map[time.Duration]string{
		5 * time.Minute: "", 5*time.Minute + time.Second: "iat", -time.Minute: "", -time.Minute - time.Second: "iat",
	} {
		r := newRig()
		check(t, r.verify(t, key.Thumbprint(), key.Proof("GET", orders, token, dpoptest.At(r.now.Add(-age)))), want)
	}
}

// TestOrder checks that the cheap checks come before the signature, and the token after it: of two mistakes the first one is reported.
func TestOrder(t *testing.T) {
	r, key, stranger := newRig(), dpoptest.NewKey(), dpoptest.NewKey()
	r.Nonces = NewNonces([]byte("key"), r.Lifetime)
	type change = func(*dpoptest.Proof)
	mistakes := []struct {
		change change
		want   string
	}{
		{dpoptest.Header("typ", "JWT"), "typ"},
		{dpoptest.Header("alg", "none"), "alg"},
		{dpoptest.Header("jwk", map[string]any{"kty": "EC", "d": "AA"}), "jwk: it has"},
		{dpoptest.Claim("htm", "POST"), "htm"},
		{dpoptest.Claim("htu", "https://other.example/"), "htu"},
		{dpoptest.At(r.now.Add(-time.Hour)), "iat"},
		{func(p *dpoptest.Proof) {}, ErrNonce.Error()},
		{func(p *dpoptest.Proof) { p.Claims["nonce"], p.Header["jwk"] = r.Nonces.Current(r.now), stranger.JWK() }, errSignature.Error()},
		{func(p *dpoptest.Proof) { p.Claims["nonce"], p.Claims["ath"] = r.Nonces.Current(r.now), "another" }, "ath"},
	}
	for n := range mistakes {
		changes := []change{dpoptest.At(r.now)}
		for _, later := range mistakes[n:] {
			changes = append(changes, later.change)
		}
		if n < len(mistakes)-2 { // the earlier mistakes are made last, so that they replace what the later ones set
			changes = append(changes, mistakes[n].change)
		}
		if n == len(mistakes)-3 {
			changes = append(changes, dpoptest.Claim("nonce", "another"))
		}
		check(t, r.verify(t, key.Thumbprint(), key.Proof("GET", orders, token, changes...)), mistakes[n].want)
	}
}

// TestAlgorithms checks that each algorithm is verified with keys of fair size, and only if it is accepted.
func TestAlgorithms(t *testing.T) {
	rsaKey := func(bits int) *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	curve := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r2048 := rsaKey(2048)
	for _, c := range []struct {
		alg  jose.SignatureAlgorithm
		key  any
		want string
	}{
		{jose.ES256, curve(elliptic.P256()), ""}, {jose.ES384, curve(elliptic.P384()), ""}, {jose.ES512, curve(elliptic.P521()), ""},
		{jose.RS256, r2048, ""}, {jose.PS256, r2048, ""}, {jose.PS512, r2048, ""}, {jose.EdDSA, ed, ""},
		{jose.RS256, rsaKey(1024), "jwk: it has 1024 bits"}, {jose.RS256, rsaKey(4104), "jwk"},
	} {
		r := newRig()
		proof := signed(t, c.alg, c.key, r.now)
		p, err := r.Verify(&Request{Proofs: []string{proof}, Method: "GET", URL: orders})
		if check(t, err, c.want); err == nil && p.thumbprint == "" {
			t.Errorf("%s: no thumbprint", c.alg)
		}
		if r.Algorithms = []string{"none"}; c.want == "" {
			_, err = r.Verify(&Request{Proofs: []string{proof}, Method: "GET", URL: orders})
			check(t, err, "alg: expected one of none")
		}
	}
	r := newRig()
	proof := signed(t, jose.EdDSA, ed, r.now)
	_, err = r.Verify(&Request{Proofs: []string{proof[:len(proof)-4] + "AAAA"}, Method: "GET", URL: orders})
	check(t, err, errSignature.Error())
}

// signed returns a proof that go-jose signs.
func signed(t *testing.T, alg jose.SignatureAlgorithm, key any, now time.Time) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{"htm": "GET", "htu": orders, "iat": now.Unix(), "jti": "1", "ath": "x"}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
