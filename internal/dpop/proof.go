package dpop

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	josejson "github.com/go-jose/go-jose/v4/json"
)

const (
	maxProof = 8 << 10 // bytes of a proof
	maxID    = 256     // bytes of a jti
)

// single returns the proof of a request, which has exactly one header of bounded size (RFC 9449 §4.3).
func single(proofs []string) (string, error) {
	switch {
	case len(proofs) != 1:
		return "", fmt.Errorf("expected one header DPoP, got %d", len(proofs))
	case len(proofs[0]) > maxProof:
		return "", fmt.Errorf("the proof is longer than %d bytes", maxProof)
	}
	return proofs[0], nil
}

// A jws is a proof that is decoded and not verified.
type jws struct {
	text   string
	header header
	claims claims
}

type (
	header map[string]any // the members of the JOSE header
	claims map[string]any // the members of the payload
)

// parse decodes a proof in the compact serialization (RFC 7515 §3.1). A repeated member of an object is an error at any depth, because
// different readers take different values of it.
func parse(text string) (*jws, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, errors.New("the proof isn't a JWT")
	}
	head, err := decode(parts[0])
	if err != nil {
		return nil, fmt.Errorf("the header of the proof: %w", err)
	}
	payload, err := decode(parts[1])
	if err != nil {
		return nil, fmt.Errorf("the claims of the proof: %w", err)
	}
	return &jws{text: text, header: head, claims: payload}, nil
}

// decode decodes a part of a proof: one JSON object in base64url without padding.
func decode(part string) (map[string]any, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, errors.New("expected base64url")
	}
	d := josejson.NewDecoder(bytes.NewReader(b))
	d.SetNumberType(josejson.UnmarshalIntOrFloat)
	var object map[string]any
	if err := d.Decode(&object); err != nil || object == nil {
		return nil, errors.New("expected a JSON object without repeated members")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("bytes after the JSON object")
	}
	return object, nil
}

// A proofClaims has the claims of a proof (RFC 9449 §4.2) that is for a request.
type proofClaims struct {
	id        string    // jti
	issued    time.Time // iat
	tokenHash string    // ath
	nonce     string    // empty without one
}

// of returns the claims, if their htm and htu name the request.
func (c claims) of(r *Request) (*proofClaims, error) {
	method, _ := c["htm"].(string)
	address, _ := c["htu"].(string)
	id, _ := c["jti"].(string)
	issued, dated := numericDate(c["iat"])
	nonce, isText := c["nonce"].(string)
	tokenHash, _ := c["ath"].(string)
	switch {
	case method != r.Method:
		return nil, errors.New("htm: the proof is for another method")
	case normalURL(address) != normalURL(r.URL):
		return nil, fmt.Errorf("htu: the proof is for another URL than %s", r.URL)
	case id == "" || len(id) > maxID:
		return nil, fmt.Errorf("jti: expected a string of 1 to %d bytes", maxID)
	case !dated:
		return nil, errors.New("iat: expected a NumericDate")
	case c["nonce"] != nil && !isText:
		return nil, errors.New("nonce: expected a string")
	case tokenHash == "":
		return nil, errors.New("ath: the hash of the access token is missing")
	}
	return &proofClaims{id: id, issued: issued, nonce: nonce, tokenHash: tokenHash}, nil
}

// numericDate returns the time of a NumericDate (RFC 7519 §2).
func numericDate(v any) (time.Time, bool) {
	sec, ok := v.(float64)
	if whole, isWhole := v.(int64); isWhole {
		sec, ok = float64(whole), true
	}
	if !ok || !(sec >= 0 && sec < 1<<38) {
		return time.Time{}, false
	}
	whole, part := math.Modf(sec)
	return time.Unix(int64(whole), int64(part*1e9)), true
}
