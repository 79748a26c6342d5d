package acmecert

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"

	"golang.org/x/crypto/acme"
)

// ForClients returns the tls.Config.GetConfigForClient of a listener with base, for the hosts of its certificates. It matches hosts
// exactly. A handshake for any other name, or without one, is refused with the alert unrecognized_name (RFC 6066 §3), and costs no request
// to a store or to the ACME server. The challenge of another replica is answered for a host that is new there and not yet here.
func (c *Certifier) ForClients(base *tls.Config, hosts []string) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	names := map[string]bool{}
	for _, h := range hosts {
		names[h] = true
	}
	base = base.Clone()
	base.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return c.certificate(strings.ToLower(hello.ServerName))
	}
	// It has no certificate, and takes no ticket of a session with a host: that needs no certificate.
	refuse := &tls.Config{MinVersion: base.MinVersion, SessionTicketsDisabled: true}
	return func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		name := strings.ToLower(hello.ServerName)
		switch {
		case isChallenge(hello):
			if asked := c.challenges.find(hello.Context(), name); asked != nil && asked.pair != nil {
				return challengeConfig(asked.pair), nil
			}
		case names[name]:
			return base, nil
		}
		return refuse, nil
	}
}

// isChallenge reports whether a handshake is one of tls-alpn-01, which offers that protocol alone (RFC 8737 §3).
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto
}

// challengeConfig returns the configuration of a handshake that answers a challenge. The listener's requirements for clients don't hold
// there: the ACME server has no certificate of a client. After the handshake net/http closes the connection, because it has no handler of
// the protocol.
func challengeConfig(pair *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*pair}, NextProtos: []string{acme.ALPNProto},
		SessionTicketsDisabled: true,
	}
}

// certificate returns the certificate of a host.
func (c *Certifier) certificate(host string) (*tls.Certificate, error) {
	c.mu.RLock()
	pair := c.hosts[host].pair
	c.mu.RUnlock()
	if pair == nil || c.now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("there is no valid certificate for %s yet", host)
	}
	return pair, nil
}

const challengePath = "/.well-known/acme-challenge/" // RFC 8555 §8.3

// AnswersPath reports whether a path could be that of a challenge.
func AnswersPath(path string) bool { return strings.HasPrefix(path, challengePath) }

// HTTPChallenge returns the answer to the challenge http-01 at a path of a host. It reports false if the path belongs to no order that is
// under way.
func (c *Certifier) HTTPChallenge(ctx context.Context, host, path string) (answer string, ok bool) {
	if c.settings.Challenge != http01 {
		return "", false
	}
	asked := c.challenges.find(ctx, strings.ToLower(host))
	if asked == nil || asked.Response == "" || asked.Path != path {
		return "", false
	}
	return asked.Response, true
}
