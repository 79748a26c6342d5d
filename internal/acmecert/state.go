package acmecert

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Expiries returns when the certificate of each host expires. Hosts without a certificate are left out.
func (c *Certifier) Expiries() map[string]time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := map[string]time.Time{}
	for host, h := range c.hosts {
		if h.pair != nil {
			all[host] = h.pair.Leaf.NotAfter
		}
	}
	return all
}

// Missing returns an error that names the hosts without a valid certificate, and why the last order of the first one failed.
func (c *Certifier) Missing() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var missing []string
	why := "the order is under way"
	for _, host := range slices.Sorted(maps.Keys(c.hosts)) {
		h := c.hosts[host]
		if h.pair != nil && !c.now().After(h.pair.Leaf.NotAfter) {
			continue
		}
		if len(missing) == 0 && h.failure.Count > 0 {
			why = fmt.Sprintf("%s; the next order is at %s", h.failure.Text, h.failure.Next.UTC().Format(time.RFC3339))
		}
		missing = append(missing, host)
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("there is no valid certificate for %s: %s", strings.Join(missing, ", "), why)
}

// Await waits until every host has a valid certificate, an order has failed, or ctx ends.
func (c *Certifier) Await(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for c.Missing() != nil && !c.failing() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// failing reports whether the last order of a host failed.
func (c *Certifier) failing() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, h := range c.hosts {
		if h.failure.Count > 0 {
			return true
		}
	}
	return false
}

// get returns what is known of a host. It reports false for a host that isn't kept any more.
func (c *Certifier) get(host string) (held, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	h, kept := c.hosts[host]
	return h, kept
}

// set replaces what is known of a host, unless it isn't kept any more.
func (c *Certifier) set(host string, h held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, kept := c.hosts[host]; kept {
		c.hosts[host] = h
	}
}
