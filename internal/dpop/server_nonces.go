package dpop

import (
	"net/http"
	"strings"
	"sync"
)

// ServerNonces has the newest nonce of each server to which proofs are sent (RFC 9449 §8, §9). Its zero value is empty. It is safe for
// concurrent use.
type ServerNonces struct {
	mu     sync.Mutex
	newest map[string]string // by server
}

const (
	maxServers = 64  // whose nonces are remembered
	maxNonce   = 512 // the size of a nonce that is taken, in bytes
)

// Of returns the newest nonce of a server; empty if it has sent none.
func (n *ServerNonces) Of(server string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.newest[server]
}

// Learn remembers the nonce in a server's response, and returns it. It returns "" for a response without a nonce, with several, or with
// one that isn't a nonce (RFC 9449 §8.1).
func (n *ServerNonces) Learn(server string, response http.Header) string {
	nonces := response["Dpop-Nonce"]
	if len(nonces) != 1 || !isNonce(nonces[0]) {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.newest == nil || len(n.newest) >= maxServers && n.newest[server] == "" {
		n.newest = map[string]string{} // a server whose nonce is forgotten sends another one
	}
	n.newest[server] = nonces[0]
	return nonces[0]
}

// isNonce reports whether a text has the characters of a nonce (NQCHAR in RFC 6749 appendix A).
func isNonce(s string) bool {
	return s != "" && len(s) <= maxNonce &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}
