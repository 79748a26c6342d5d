package oidc

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
)

// A JWK is an entry of client_jwk: a private key (RFC 7517, RFC 7518 §6) whose members are all strings.
type JWK struct {
	Kty    string      `yaml:"kty" required:"true" enum:"RSA,EC,OKP"`
	Use    string      `yaml:"use" enum:"sig"`
	KeyOps []string    `yaml:"key_ops"` // with sign among them; empty: not restricted
	Alg    string      `yaml:"alg"`
	Kid    string      `yaml:"kid"`
	Issuer string      `yaml:"issuer"` // of the key; only documentation
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

	// These are copied into the header of assertions (RFC 7515 §4.1.5 to §4.1.8), as some servers require.
	X5U     string   `yaml:"x5u"`
	X5C     []string `yaml:"x5c"`
	X5T     string   `yaml:"x5t"`
	X5TS256 string   `yaml:"x5t#S256"`
}

// Check returns an error if the key can't sign, or if its x5c is the certificate of another key.
func (j JWK) Check() error {
	if len(j.KeyOps) > 0 && !slices.Contains(j.KeyOps, "sign") {
		return errors.New("its key_ops don't let it sign: add sign, or take key_ops out")
	}
	key, err := j.private()
	if err != nil || len(j.X5C) == 0 {
		return err
	}
	der, errDER := base64.StdEncoding.DecodeString(j.X5C[0])
	leaf, err := x509.ParseCertificate(der)
	if errDER != nil || err != nil {
		return errors.New("its x5c isn't base64 of a DER certificate (RFC 7517 §4.7)")
	}
	if public, ok := key.Public().Key.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(leaf.PublicKey) {
		return errors.New("the first certificate of its x5c is another key's")
	}
	return nil
}

// certificates returns the header parameters of assertions that name the key's certificate.
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

// private returns the key.
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
