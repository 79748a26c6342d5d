package dpop

import (
	"strings"
	"testing"

	"sallyport/internal/dpop/dpoptest"
)

// FuzzVerify checks that no text makes Verify panic, or pass without the form of a proof.
func FuzzVerify(f *testing.F) {
	r, key := newRig(), dpoptest.NewKey()
	good := key.Proof("GET", orders, token, dpoptest.At(r.now))
	parts := strings.Split(good, ".")
	f.Add(good)
	f.Add(parts[0] + "." + parts[1] + ".")
	f.Add(key.Sign([]byte(`{"typ":"dpop+jwt","alg":"RS256","jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"}}`), []byte(`{"htm":"GET"}`)))
	f.Add("..")
	f.Fuzz(func(t *testing.T, proof string) {
		p, err := r.Verify(&Request{Proofs: []string{proof}, Method: "GET", URL: orders})
		if (p == nil) != (err != nil) {
			t.Errorf("got %v and %v", p, err)
		}
		if err == nil && strings.Count(proof, ".") != 2 { // the seed of another process of the fuzzer has another key
			t.Errorf("it passes: %s", proof)
		}
		r.NextNonce([]string{proof})
	})
}
