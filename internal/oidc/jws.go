package oidc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4/json"
)

// errMalformed says that a string is not a JWS in compact serialization.
var errMalformed = errors.New("not a JWS in compact serialization (RFC 7515 §7.1)")

// errCritical refuses a header that requires an extension, because the gate implements none (RFC 7515 §4.1.11).
var errCritical = errors.New("its header has crit, and no extension is understood")

// IsJWS reports whether a token has the form of a JWS in compact serialization: three parts of base64url. Other tokens are opaque.
func IsJWS(token string) bool {
	dots, other := uint(0), byte(0)
	for i := range len(token) {
		class := jwsClass[token[i]]
		dots += uint(class & 1)
		other |= class
	}
	return dots == 2 && other < 2 && token[0] != '.'
}

// jwsClass says what a byte is in a compact serialization: 0 for a letter of base64url, 1 for a dot, 2 for any other byte.
var jwsClass = func() (classes [256]byte) {
	for c := range classes {
		classes[c] = 2
	}
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		classes[c] = 0
	}
	classes['.'] = 1
	return classes
}()

// base64url is the encoding of the parts of a JWS (RFC 7515 §2). It is strict (RFC 4648 §3.5): with other unused bits a signature could
// be written in 16 ways, and each would be another token to caches and lists of revoked tokens.
var base64url = base64.RawURLEncoding.Strict()

// decodeJWS decodes the parts of a JWS: header, payload and signature.
func decodeJWS(token string) (parts [3][]byte, err error) {
	if !IsJWS(token) {
		return parts, errMalformed
	}
	for n, part := range strings.Split(token, ".") {
		if parts[n], err = base64url.DecodeString(part); err != nil {
			return parts, errMalformed
		}
	}
	return parts, nil
}

// A joseHeader has the members of a JWS header that say what a token is (RFC 7515 §4.1).
type joseHeader struct {
	Alg string `json:"alg"`
	Typ string `json:"typ"` // in lower case, without the prefix application/

	Crit json.RawMessage `json:"crit"`
}

// parseHeader parses the header of a JWS. It refuses crit.
func parseHeader(part []byte) (joseHeader, error) {
	var h joseHeader
	if err := json.Unmarshal(part, &h); err != nil {
		return h, fmt.Errorf("its header: %w", err)
	}
	if h.Crit != nil {
		return h, errCritical
	}
	h.Typ = strings.TrimPrefix(strings.ToLower(h.Typ), "application/")
	return h, nil
}
