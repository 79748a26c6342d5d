package app

import (
	"crypto/tls"
	"fmt"

	"sallyport/internal/authorities"
	"sallyport/internal/config"
)

// newTLS returns the configuration of a listener's TLS. It reads the files that the settings name. With acme it has no certificate yet.
func newTLS(t *config.TLS) (*tls.Config, error) {
	c := &tls.Config{
		MinVersion:   map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[t.MinVersion],
		CipherSuites: t.SuiteIDs(),
		NextProtos:   []string{"h2", "http/1.1"},
		ClientAuth: map[string]tls.ClientAuthType{
			"none": tls.NoClientCert, "request": tls.RequestClientCert, "require": tls.RequireAnyClientCert,
			"verify_if_given": tls.VerifyClientCertIfGiven, "require_and_verify": tls.RequireAndVerifyClientCert,
		}[t.ClientAuth],
	}
	if t.ACME == nil {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("listen: tls: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if t.ClientCAFile == "" {
		return c, nil
	}
	var err error
	if c.ClientCAs, err = authorities.Of(t.ClientCAFile); err != nil {
		return nil, fmt.Errorf("client_ca_file: %w", err)
	}
	return c, nil
}
