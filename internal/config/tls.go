package config

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"

	"sallyport/internal/check"
)

// check checks the settings of a listener's TLS, and its files, so that they don't fail at the start.
func (t *TLS) check(c check.Checker, key string) {
	t.checkFiles(c, key)
	if t.CertFile != "" && t.KeyFile != "" {
		if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
			c.Complain(key+".cert_file", "the certificate and its key can't be used: %v", err)
		}
	}
	c.PEM(key+".client_ca_file", t.ClientCAFile)
	verifies := strings.Contains(t.ClientAuth, "verify")
	c.Must(key+".client_auth", !verifies || t.ClientCAFile != "",
		"%s needs client_ca_file: without it certificates of every public authority would be accepted", t.ClientAuth)
	c.Must(key+".client_ca_file", verifies || t.ClientCAFile == "", "it isn't used: write client_auth: require_and_verify")
	c.Each(key+".cipher_suites", t.CipherSuites, func(name string) error {
		if suiteID(name) == 0 {
			return errors.New("it isn't a secure cipher suite of TLS 1.2 that the gate has: write one such as " + http2Suites[0])
		}
		return nil
	})
	c.Must(key+".cipher_suites", len(t.CipherSuites) == 0 || slices.ContainsFunc(t.CipherSuites, isHTTP2Suite),
		"HTTP/2 needs %s (RFC 9113 §9.2.2): add the one of the certificate's key", strings.Join(http2Suites, " or "))
	c.Must(key+".cipher_suites", len(t.CipherSuites) == 0 || t.MinVersion != "1.3",
		"they are for TLS 1.2, and min_version is 1.3: take one of them out")
	if t.ACME != nil {
		suited := func(name string) bool {
			return strings.HasPrefix(name, "TLS_ECDHE_"+strings.ToUpper(t.ACME.KeyType)+"_")
		}
		c.Must(key+".cipher_suites", len(t.CipherSuites) == 0 || slices.ContainsFunc(t.CipherSuites, suited),
			"none of them works with the key of the certificate, which acme.key_type makes %s: change one of them", t.ACME.KeyType)
	}
}

// checkFiles checks that the listener has either the files of a certificate or an acme block.
func (t *TLS) checkFiles(c check.Checker, key string) {
	for name, value := range map[string]string{key + ".cert_file": t.CertFile, key + ".key_file": t.KeyFile} {
		c.Must(name, t.ACME == nil || value == "", "acme is written too, which gets the certificate: keep one of them")
		c.Must(name, t.ACME != nil || value != "", "a listener with TLS needs cert_file and key_file, or acme: add them")
	}
}

// http2Suites are the cipher suites of which a server with HTTP/2 and TLS 1.2 must have one.
var http2Suites = []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}

func isHTTP2Suite(name string) bool { return slices.Contains(http2Suites, name) }

// suiteID returns the ID of a cipher suite of TLS 1.2 without known weaknesses, or 0.
func suiteID(name string) uint16 {
	for _, s := range tls.CipherSuites() {
		if s.Name == name && slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
			return s.ID
		}
	}
	return 0
}

// SuiteIDs returns the cipher suites of TLS 1.2; nil for the default ones.
func (t *TLS) SuiteIDs() (ids []uint16) {
	for _, name := range t.CipherSuites {
		ids = append(ids, suiteID(name))
	}
	return ids
}

// onlyAESGCM reports whether the listener accepts only TLS 1.3, and TLS 1.2 with ECDHE and AES-GCM. With rsa the certificate must have an
// RSA key, too, for TLS 1.2.
func (t *TLS) onlyAESGCM(rsa bool) bool {
	if t.MinVersion == "1.3" {
		return true
	}
	prefix := "TLS_ECDHE_"
	if rsa {
		prefix = "TLS_ECDHE_RSA_"
	}
	return len(t.CipherSuites) > 0 && !slices.ContainsFunc(t.CipherSuites, func(name string) bool {
		return !strings.HasPrefix(name, prefix) || !strings.Contains(name, "_GCM_")
	})
}
