package app

import (
	"crypto/rand"
	"crypto/sha256"
	"io"
	"time"

	"sallyport/internal/acmecert"
	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/authserver"
	"sallyport/internal/console"
	"sallyport/internal/dpop"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/proxy"
	"sallyport/internal/redis"
	"sallyport/internal/session"
	"sallyport/internal/signer"
	"sallyport/internal/telemetry"
)

// A reloadState holds the objects that outlive a reload if their settings are unchanged, such as issuers with their metadata and keys,
// clients with their caches, sessions in memory and connection pools.
type reloadState struct {
	issuers   pool[*oidc.Issuer]
	clients   pool[[]*oidc.Client]
	sessions  pool[*sessionSet]
	upstreams pool[*proxy.Upstream]
	signers   pool[*signer.Signer]
	certifier pool[*acmecert.Certifier]
	redises   pool[*redis.Client] // of cluster caches and the built-in authorization server

	metrics       *telemetry.Metrics // of the process
	tracer        *telemetry.Tracer  // of the process; nil without traces
	audit         *audit.Log         // nil without log.audit
	refusals      *proxy.Refusals    // the last ones
	console       *console.Console   // nil where no process runs, such as in explain
	authServer    *authserver.Server // of the running configuration; the next one takes over its tokens. Nil without oauth2
	sessionSecret auth.Secret        // generated for routes without session_secret
	proofs        *dpop.Memory       // the used DPoP proofs
	hashKey       []byte             // the secret of the cache keys that are made of credentials, and of the pools' keys
}

// A sessionSet is the session store of all routes with equal session settings, and the keyring of its secrets.
type sessionSet struct {
	*session.Sessions
	keyring *keyring.Keyring
	storage string // session_storage
	name    string // of the store, for administrators
}

func newReloadState() *reloadState {
	s := &reloadState{
		sessionSecret: keyring.Generate(), proofs: dpop.NewMemory(), hashKey: make([]byte, sha256.Size), metrics: telemetry.New(),
		refusals: &proxy.Refusals{},
	}
	rand.Read(s.hashKey)
	return s
}

// allSessions returns the session stores of all routes.
func (s *reloadState) allSessions() (all []*session.Sessions) {
	for _, set := range s.sessions.all() {
		all = append(all, set.Sessions)
	}
	return all
}

// release removes the objects that a configuration doesn't use from the pools, and the metrics of routes and issuers that are gone. It
// closes the objects after a delay, which lets requests in flight end.
func (s *reloadState) release(b *builder, delay time.Duration) {
	s.metrics.KeepRoutes(b.recorders)
	if all := s.remove(b.used); len(all) > 0 {
		time.AfterFunc(delay, func() { closeAll(all) })
	}
	urls := map[string]bool{}
	for _, i := range s.issuers.all() {
		urls[i.URL()] = true
	}
	s.metrics.KeepIssuers(urls)
}

// close closes all objects.
func (s *reloadState) close() { closeAll(s.remove(nil)) }

// remove removes the objects that aren't in used from the pools, and returns those that must be closed.
func (s *reloadState) remove(used usedKeys) (all []io.Closer) {
	s.issuers.remove(used)
	s.clients.remove(used)
	upstreams := s.upstreams.remove(used)
	for _, u := range upstreams {
		u.EndChecks() // its last requests need none
	}
	all = closers(all, upstreams)
	all = closers(all, s.sessions.remove(used))
	all = closers(all, s.signers.remove(used))
	all = closers(all, s.certifier.remove(used))
	return closers(all, s.redises.remove(used))
}

func closers[T io.Closer](all []io.Closer, more []T) []io.Closer {
	for _, c := range more {
		all = append(all, c)
	}
	return all
}

func closeAll(all []io.Closer) {
	for _, c := range all {
		c.Close()
	}
}
