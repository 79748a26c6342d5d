package authserver

import (
	"strings"
	"sync"

	"sallyport/internal/attempts"
	"sallyport/internal/auth"
)

// consents remembers, as long as the process runs, which scopes users have allowed clients. It is bounded: when it is full it drops a
// random entry, and that user is asked again.
type consents struct {
	mu  sync.Mutex // guards all
	all map[consentKey]map[string]struct{}
}

// A consentKey names a user, a client, where it gets its codes, and the resource of its tokens.
type consentKey struct{ issuer, user, client, redirect, resource string }

const maxConsents = 20_000

func newConsents() *consents { return &consents{all: map[consentKey]map[string]struct{}{}} }

func newConsentKey(user *auth.Identity, a *authorization) consentKey {
	return consentKey{user.Issuer, user.Subject, a.client.ClientID, a.redirect, a.resource}
}

// given reports whether the user has allowed the client all scopes of a request.
func (c *consents) given(user *auth.Identity, a *authorization) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	scopes, known := c.all[newConsentKey(user, a)]
	for _, scope := range strings.Fields(a.scope) {
		if _, ok := scopes[scope]; !ok {
			return false
		}
	}
	return known
}

// give records that the user allows the client the scopes of a request.
func (c *consents) give(user *auth.Identity, a *authorization) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := newConsentKey(user, a)
	if c.all[key] == nil {
		attempts.MakeRoom(c.all, maxConsents)
		c.all[key] = map[string]struct{}{}
	}
	for _, scope := range strings.Fields(a.scope) {
		c.all[key][scope] = struct{}{}
	}
}

// forget removes all that the user has allowed the client.
func (c *consents) forget(user *auth.Identity, a *authorization) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, newConsentKey(user, a))
}
