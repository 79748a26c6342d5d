// Package authorities reads the certificates of authorities from files.
package authorities

import (
	"crypto/x509"
	"fmt"
	"os"
)

// Of returns the authorities in a PEM file.
func Of(file string) (*x509.CertPool, error) { return addTo(x509.NewCertPool(), file) }

// WithSystem returns the authorities of the system and those in a PEM file.
func WithSystem(file string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	return addTo(pool, file)
}

func addTo(pool *x509.CertPool, file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no PEM certificate", file)
	}
	return pool, nil
}
