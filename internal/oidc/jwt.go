package oidc

import (
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
)

// maxJWT is the longest JWT of a request that is parsed, in bytes. A JWT from the issuer is bounded as a response.
const maxJWT = 16 << 10

// errTooLong says that the JWT of a request is longer than maxJWT.
var errTooLong = fmt.Errorf("the JWT is longer than %d bytes", maxJWT)

// A jwt is a parsed JWT (RFC 7519). Its signature isn't verified yet: until verifySignature succeeds, its claims may only refuse it early
// or choose the issuer whose keys verify it.
type jwt struct {
	text   string
	header joseHeader
	claims auth.Claims
	jws    *jose.JSONWebSignature // whose payload the claims are
}

// parseRequestJWT parses a JWT that a request carries.
func parseRequestJWT(token string) (*jwt, error) {
	if len(token) > maxJWT {
		return nil, errTooLong
	}
	return parseJWT(token)
}

// parseJWT parses a JWT that the issuer has sent.
func parseJWT(token string) (*jwt, error) {
	parts, err := decodeJWS(token)
	if err != nil {
		return nil, err
	}
	header, err := parseHeader(parts[0])
	if err != nil {
		return nil, err
	}
	// Any alg passes here, also none, because the acceptable ones depend on the use of the token: verifySignature checks alg before it uses
	// a key.
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(header.Alg)})
	if err != nil {
		return nil, err
	}
	claims, err := decodeObject(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return nil, err
	}
	return &jwt{text: token, header: header, claims: claims, jws: jws}, nil
}

// unverifiedIssuer returns the iss of a token, without verifying the token.
func unverifiedIssuer(token string) (string, error) {
	if len(token) > maxJWT {
		return "", errTooLong
	}
	parts, err := decodeJWS(token)
	if err != nil {
		return "", err
	}
	claims, err := decodeObject(parts[1])
	if err != nil {
		return "", err
	}
	return auth.Claims(claims).String("iss"), nil
}
