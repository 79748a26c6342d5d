package dpop

import (
	"os"
	"strings"
	"testing"

	"sallyport/internal/dpop/dpoptest"
)

// FuzzVerify checks that no text passes as a proof but those that are signed for the request.
func FuzzVerify(f *testing.F) {
	r, key := newRig(), dpoptest.NewKey()
	const name = "SALLYPORT_FUZZED_PROOF" // by which the processes of the fuzzer have one proof
	good := os.Getenv(name)
	if good == "" {
		good = key.Proof("GET", orders, token, dpoptest.At(r.now))
		f.Setenv(name, good)
	}
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
		if err == nil && proof != good {
			t.Errorf("it passes: %s", proof)
		}
		r.NextNonce([]string{proof})
	})
}
