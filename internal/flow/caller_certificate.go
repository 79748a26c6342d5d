package flow

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// A CertificateHeader says in which header a trusted proxy, which ends the client's TLS, sends the client's certificate.
type CertificateHeader struct {
	Name string `yaml:"certificate_header_name" required:"true"`
	// Format is the form of its value: base64 of DER or PEM, PEM with percent-encoding (nginx), a byte sequence (RFC 9440), or Envoy's
	// X-Forwarded-Client-Cert.
	Format string `yaml:"certificate_header_format" default:"url_encoded" enum:"base64_encoded,url_encoded,rfc9440,xfcc"`
	// CAFile has the authorities that may issue the certificate, as PEM. Empty: the thumbprint in the token is enough.
	CAFile            string `yaml:"ca_file"`
	AllowPartialChain bool   `yaml:"allow_partial_chain" default:"false"` // an authority in CAFile need not be a root
}

// check reports mistakes in the settings.
func (h *CertificateHeader) check(c check.Checker) {
	c.One("certificate_header_name", h.Name, check.Header)
	c.Must("certificate_header_name", headerName(h.Name) != authorization.Name && headerName(h.Name) != proofHeader,
		"the client's credential is in this header: write the one with the certificate")
	c.PEM("ca_file", h.CAFile)
	if h.CAFile == "" || c.IsBad("ca_file") {
		if h.AllowPartialChain {
			c.Warn("allow_partial_chain", "it isn't read without ca_file: add that, or take this out")
		}
		return
	}
	_, err := h.authorities()
	c.Err("ca_file", err)
}

// authorities returns the certificates in CAFile.
func (h *CertificateHeader) authorities() (*x509.CertPool, error) {
	data, err := check.ReadFile(h.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a certificate can't be read: %w", err)
		}
		if !h.AllowPartialChain && !bytes.Equal(ca.RawIssuer, ca.RawSubject) {
			return nil, fmt.Errorf("%s isn't a root: write the root's file, or allow_partial_chain: true", check.Quote(ca.Subject.String()))
		}
		pool.AddCert(ca)
	}
	return pool, nil
}

// CertificateHeader returns the name of the header in which trusted proxies send the client's certificate; empty: they don't.
func (s *BindingSettings) CertificateHeader() string {
	if s.MTLSFromHeader == nil {
		return ""
	}
	return headerName(s.MTLSFromHeader.Name)
}

// callerCertificates find the certificate with which a client has proved the possession of its key in a TLS handshake: with the gate's
// listener, or with a trusted proxy.
type callerCertificates struct {
	header      *CertificateHeader // nil: the certificate is that of the connection
	name        string
	authorities *x509.CertPool // nil: any certificate may be used
	now         func() time.Time
}

func newCallerCertificates(h *CertificateHeader, now func() time.Time) (*callerCertificates, error) {
	c := &callerCertificates{header: h, now: now}
	if h == nil {
		return c, nil
	}
	c.name = headerName(h.Name)
	if h.CAFile == "" {
		return c, nil
	}
	var err error
	if c.authorities, err = h.authorities(); err != nil {
		return nil, fmt.Errorf("proof_of_possession_mtls_from_header: ca_file: %w", err)
	}
	return c, nil
}

var errNoCertificate = errors.New("the client has no certificate")

// of returns the client's certificate as DER. Of a trusted proxy only the header counts: the certificate of the connection is the proxy's
// own. Any other client could write the header, so for it only the connection counts.
func (c *callerCertificates) of(r *auth.Request) ([]byte, error) {
	if c.header == nil || !r.FromProxy {
		if r.ClientCert == nil {
			return nil, errNoCertificate
		}
		return r.ClientCert.Raw, nil
	}
	switch values := r.Header[c.name]; {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return nil, errNoCertificate
	case len(values) > 1:
		return nil, fmt.Errorf("the proxy sent more than one header %s", c.name)
	default:
		return c.decode(values[0])
	}
}

// decode returns the DER in the header of a trusted proxy.
func (c *callerCertificates) decode(value string) ([]byte, error) {
	var der []byte
	switch c.header.Format {
	case "url_encoded":
		der = escapedPEM(value)
	case "base64_encoded":
		if b, err := base64.StdEncoding.DecodeString(value); err == nil {
			if der = b; bytes.HasPrefix(b, []byte("-----BEGIN")) {
				der = onlyCertificate(b)
			}
		}
	case "rfc9440":
		der = byteSequence(value)
	case "xfcc":
		der = forwardedClientCert(value)
	}
	if len(der) == 0 {
		return nil, fmt.Errorf("the header %s of the proxy doesn't have one certificate in the form %s", c.name, c.header.Format)
	}
	return der, nil
}

// verify checks that one of the authorities has issued a certificate from a proxy's header, and that it is valid now. The listener has
// verified that of a connection, if client_auth says so.
func (c *callerCertificates) verify(der []byte) error {
	if c.authorities == nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: c.authorities, CurrentTime: c.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

// escapedPEM returns the DER of PEM in percent-encoding, as nginx's $ssl_client_escaped_cert has it. A plus sign stands for itself.
func escapedPEM(value string) []byte {
	text, err := url.PathUnescape(value)
	if err != nil {
		return nil
	}
	return onlyCertificate([]byte(text))
}

// onlyCertificate returns the DER of PEM with exactly one certificate.
func onlyCertificate(text []byte) []byte {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil
	}
	return block.Bytes
}

// byteSequence returns the bytes of Client-Cert (RFC 9440 §2.1): base64 between colons (RFC 8941 §3.3.5).
func byteSequence(value string) []byte {
	value = strings.TrimSpace(value)
	if len(value) < 2 || value[0] != ':' || value[len(value)-1] != ':' {
		return nil
	}
	der, err := base64.StdEncoding.DecodeString(value[1 : len(value)-1])
	if err != nil {
		return nil
	}
	return der
}

// forwardedClientCert returns the DER of the member Cert of Envoy's X-Forwarded-Client-Cert. An element before or after it would be that of
// another proxy, or of the client, so a value with several elements is refused: Envoy must be set to SANITIZE_SET.
func forwardedClientCert(value string) (der []byte) {
	for _, pair := range pairsOf(value) {
		name, text, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "Cert") {
			continue
		}
		if der != nil {
			return nil
		}
		if der = escapedPEM(strings.Trim(text, `"`)); der == nil {
			return nil
		}
	}
	return der
}

// pairsOf returns the pairs of an element of X-Forwarded-Client-Cert. It returns nil for a value with several elements, or with a quoted
// string that doesn't end.
func pairsOf(value string) []string {
	elements, closed := auth.SplitQuoted(value, ',')
	if !closed || len(elements) != 1 {
		return nil
	}
	pairs, _ := auth.SplitQuoted(elements[0], ';')
	return pairs
}
