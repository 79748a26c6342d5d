package app

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/proxy"
	"sallyport/internal/session"
	"sallyport/internal/signer"
)

// kept is what outlives a reload where its settings are unchanged: issuers with their metadata, keys and caches, session
// stores, connection pools, and the secret that was generated because none was configured.
type kept struct {
	issuers   pool[*oidc.Issuer]
	clients   pool[[]*oidc.Client]
	sessions  pool[*sessionSet]
	upstreams pool[*proxy.Upstream]
	signers   pool[*signer.Signer]
	redises   pool[*goredis.Client] // of shared caches
	oauth2    *authserver.Server    // what it holds in memory goes on; nil: there is none
	secret    auth.Secret
	hashKey   []byte // of what is kept by credentials
}

// A sessionSet is the sessions of equal settings.
type sessionSet struct {
	*session.Sessions
	keyring *keyring.Keyring
}

func newKept() *kept {
	k := &kept{secret: keyring.Generate(), hashKey: make([]byte, sha256.Size)}
	rand.Read(k.hashKey)
	return k
}

// A pool holds one object for each settings.
type pool[T any] struct {
	mu   sync.Mutex
	made map[[sha256.Size]byte]T
}

// get returns the object of these settings, made if need be, and its key.
func (p *pool[T]) get(settings any, make func() (T, error)) (v T, k [sha256.Size]byte, err error) {
	if k, err = digest(settings); err != nil {
		return v, k, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, ok := p.made[k]; ok {
		return v, k, nil
	}
	if v, err = make(); err != nil {
		return v, k, err
	}
	if p.made == nil {
		p.made = map[[sha256.Size]byte]T{}
	}
	p.made[k] = v
	return v, k, nil
}

// digest is equal for equal settings. It is made by gob, which writes secrets as they are; they don't leave this function.
func digest(settings any) (sum [sha256.Size]byte, err error) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(settings); err != nil {
		return sum, fmt.Errorf("comparing settings: %w", err)
	}
	return sha256.Sum256(b.Bytes()), nil
}

// fileDigest tells whether a file that settings name has changed. A file that can't be read is reported by who needs it.
func fileDigest(name string) string {
	if name == "" {
		return ""
	}
	b, _ := os.ReadFile(name)
	sum := sha256.Sum256(b)
	return string(sum[:])
}

func (p *pool[T]) all() []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []T
	for _, v := range p.made {
		all = append(all, v)
	}
	return all
}

// drop takes out what isn't used and returns it.
func (p *pool[T]) drop(used map[any]bool) []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	var dropped []T
	for k, v := range p.made {
		if !used[k] {
			dropped = append(dropped, v)
			delete(p.made, k)
		}
	}
	return dropped
}

// forget closes what no route uses any more, once the requests in flight had time to end.
func (k *kept) forget(used map[any]bool, after time.Duration) {
	k.issuers.drop(used)
	k.clients.drop(used)
	var all []io.Closer
	all = closers(all, k.upstreams.drop(used))
	all = closers(all, k.sessions.drop(used))
	all = closers(all, k.signers.drop(used))
	all = closers(all, k.redises.drop(used))
	if len(all) > 0 {
		time.AfterFunc(after, func() { closeAll(all) })
	}
}

func (k *kept) close() {
	var all []io.Closer
	all = closers(all, k.upstreams.all())
	all = closers(all, k.sessions.all())
	all = closers(all, k.signers.all())
	closeAll(closers(all, k.redises.all()))
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
