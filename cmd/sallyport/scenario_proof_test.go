package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"time"

	"sallyport/internal/dpop/dpoptest"
)

// proofKey creates a key that signs DPoP proofs, and sets a variable to its thumbprint.
func (s *scene) proofKey(_ bool, args []string) {
	if s.proofKeys == nil {
		s.proofKeys = map[string]*dpoptest.Key{}
	}
	s.proofKeys[args[0]] = dpoptest.NewKey()
	s.ts.Setenv(args[0], s.proofKeys[args[0]].Thumbprint())
}

// proof sets a variable to a DPoP proof for a request to the gate.
func (s *scene) proof(_ bool, args []string) {
	var changes []func(*dpoptest.Proof)
	for _, arg := range args[5:] {
		name, value, _ := strings.Cut(arg, "=")
		change := dpoptest.Claim
		if header, ok := strings.CutPrefix(name, "-"); ok {
			name, change = header, dpoptest.Header
		}
		changes = append(changes, change(name, claimValue(value)))
	}
	url := args[3]
	if strings.HasPrefix(url, "/") {
		url = "http://" + s.ts.Getenv("GATE") + url
	}
	s.ts.Setenv(args[0], s.proofKeys[args[1]].Proof(args[2], url, args[4], changes...))
}

// certificate creates a client's certificate.
func (s *scene) certificate(_ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	s.ts.Check(err)
	sum := sha256.Sum256(der)
	s.ts.Setenv(args[0], base64.StdEncoding.EncodeToString(der))
	s.ts.Setenv(args[0]+"_X5T", base64.RawURLEncoding.EncodeToString(sum[:]))
	s.write(args[0]+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
