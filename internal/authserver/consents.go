package authserver

import (
	"strings"
	"sync"

	"sallyport/internal/auth"
)

// consents are what users have allowed clients while this process runs. They are bounded; over it somebody is asked anew.
type consents struct {
	mu  sync.Mutex // guards all
	all map[consent]map[string]struct{}
}

// A consent is whose it is; what it is to, are scopes.
type consent struct{ issuer, user, client string }

const maxConsents = 20_000

func newConsents() *consents { return &consents{all: map[consent]map[string]struct{}{}} }

func consentOf(user *auth.Identity, a *authorization) consent {
	return consent{user.Issuer, user.Subject, a.client.ClientID}
}

// given reports whether the user has allowed the client all that it asks for now.
func (c *consents) given(user *auth.Identity, a *authorization) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	scopes, known := c.all[consentOf(user, a)]
	for _, scope := range strings.Fields(a.scope) {
		if _, ok := scopes[scope]; !ok {
			return false
		}
	}
	return known
}

// give notes that the user allows it.
func (c *consents) give(user *auth.Identity, a *authorization) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := consentOf(user, a)
	if c.all[key] == nil {
		makeRoom(c.all, maxConsents)
		c.all[key] = map[string]struct{}{}
	}
	for _, scope := range strings.Fields(a.scope) {
		c.all[key][scope] = struct{}{}
	}
}

// forget takes back what the user allowed the client.
func (c *consents) forget(user *auth.Identity, a *authorization) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, consentOf(user, a))
}
