package app

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/acmecert"
	"sallyport/internal/config"
)

// acmeHosts returns the hosts for which a listener gets certificates by ACME, or nil.
func acmeHosts(t *config.TLS) []string {
	if t == nil || t.ACME == nil {
		return nil
	}
	return t.ACME.Hosts
}

// allACMEHosts returns the hosts of all listeners.
func allACMEHosts(file *config.File) (all []string) {
	for _, l := range file.Listen {
		all = append(all, acmeHosts(l.TLS)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// acmeSettings returns the acme block of the listeners, which is the same for all but for the hosts, or nil.
func acmeSettings(file *config.File) *acmecert.Settings {
	for _, l := range file.Listen {
		if l.TLS != nil && l.TLS.ACME != nil {
			return l.TLS.ACME
		}
	}
	return nil
}

// makeCertifier makes the certifier, which has the certificates by ACME. A new list of hosts keeps the certifier.
func (b *builder) makeCertifier(file *config.File) (err error) {
	block := acmeSettings(file)
	if block == nil {
		return nil
	}
	settings := *block
	settings.Hosts = nil
	if settings.Storage == "redis" {
		b.addRedisServer(settings.Redis)
	}
	b.certifier, err = take(b, &b.state.certifier, settings, func() (*acmecert.Certifier, error) {
		return acmecert.New(acmecert.Config{Settings: settings, Now: b.now, Log: b.log})
	})
	return err
}

// useCertifier makes the certifier of the running configuration keep the certificates of its hosts valid, in the background. The caller
// holds mu.
func (s *server) useCertifier() {
	b, before := s.builder.Load(), s.certifier
	if before != nil && before != b.certifier {
		before.Stop()
		if b.certifier != nil {
			b.certifier.Adopt(before)
		}
	}
	if s.certifier = b.certifier; s.certifier != nil {
		s.certifier.Keep(allACMEHosts(b.file))
	}
}

// configFor returns the TLS configuration of a handshake, for a listener's current one.
func configFor(hello *tls.ClientHelloInfo, current *tls.Config) (*tls.Config, error) {
	if current.GetConfigForClient != nil {
		return current.GetConfigForClient(hello)
	}
	return current, nil
}

// answersChallenge answers the ACME server's request for the challenge http-01 (RFC 8555 §8.3), which comes without TLS. It reports false
// for any other request, also for another path below that of challenges.
func (s *server) answersChallenge(w http.ResponseWriter, r *http.Request) bool {
	if r.TLS != nil || !acmecert.AnswersPath(r.URL.Path) || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	certifier := s.builder.Load().certifier
	if certifier == nil {
		return false
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	answer, ok := certifier.HTTPChallenge(r.Context(), host, r.URL.Path)
	if !ok {
		return false
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	io.WriteString(w, answer)
	return true
}

// noteACME writes what a configuration would order by ACME.
func noteACME(out io.Writer, file *config.File) {
	a := acmeSettings(file)
	if a == nil {
		return
	}
	where := "the folder " + a.Folder
	if a.Storage == "redis" {
		where = "redis " + a.Redis.Name()
	}
	fmt.Fprintf(out, "note: acme: the gate orders a certificate for each of %s from %s by %s, unless %s has a valid one; "+
		"this check orders none\n", strings.Join(allACMEHosts(file), ", "), a.Directory, a.Challenge, where)
}
