package e2e

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// A bearer is a decoded JWT, usually an access token that the upstream received.
type bearer struct {
	raw    string
	claims map[string]any
}

func mustBearer(t *testing.T, a arrival) bearer {
	t.Helper()
	scheme, raw, _ := strings.Cut(a.header.Get("Authorization"), " ")
	if n := len(a.header.Values("Authorization")); scheme != "Bearer" || n != 1 {
		t.Fatalf("the upstream got %d Authorization headers with the scheme %q; want one JWT after Bearer", n, scheme)
	}
	return mustRead(t, raw)
}

// mustRead decodes a JWT without verifying it.
func mustRead(t *testing.T, raw string) bearer {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("this is no JWT: %q", raw)
	}
	b := bearer{raw: raw}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &b.claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b bearer) claim(name string) string { s, _ := b.claims[name].(string); return s }

func (b bearer) expiry() time.Time {
	exp, _ := b.claims["exp"].(float64)
	return time.Unix(int64(exp), 0)
}

// audience returns aud as a list.
func (b bearer) audience() (all []string) {
	switch aud := b.claims["aud"].(type) {
	case string:
		return []string{aud}
	case []any:
		for _, one := range aud {
			all = append(all, one.(string))
		}
	}
	slices.Sort(all)
	return all
}

// confirmation returns a member of cnf.
func (b bearer) confirmation(name string) string {
	cnf, _ := b.claims["cnf"].(object)
	s, _ := cnf[name].(string)
	return s
}

// head returns the encoded header of a JWT.
func head(jwt string) string { h, _, _ := strings.Cut(jwt, "."); return h }

// x5t returns the thumbprint of a certificate, as in cnf of a bound token (RFC 8705 §3.1).
func x5t(pair *tls.Certificate) string {
	sum := sha256.Sum256(pair.Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
