package acmecert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"
)

const (
	orderLimit = 5 * time.Minute // of one order
	longest    = time.Hour       // between two rounds
	certExtra  = time.Hour       // how long the store keeps a certificate that has expired

	pollEvery   = 3 * time.Second  // between two looks at the store while another replica orders, or while the store can't be used
	patientPoll = 30 * time.Second // while all wait after a failure
)

// run keeps the certificates valid until Stop.
func (c *Certifier) run() {
	defer close(c.done)
	for c.ctx.Err() == nil {
		c.round(c.ctx)
		timer := time.NewTimer(c.untilNext())
		select {
		case <-c.ctx.Done():
		case <-c.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// round reads the certificates that are due from the store, and orders those that are still due. A replica that doesn't get the lease reads
// the store again in the next round.
func (c *Certifier) round(ctx context.Context) {
	for _, host := range c.kept() {
		works := c.read(ctx, host)
		if h, kept := c.get(host); works && kept && h.unsaved {
			c.save(ctx, host, h)
		}
	}
	if len(c.ripe()) == 0 {
		return
	}
	c.withLease(ctx, func(ctx context.Context) {
		for _, host := range c.ripe() {
			if c.read(ctx, host) && slices.Contains(c.ripe(), host) && ctx.Err() == nil {
				c.renew(ctx, host)
			}
		}
	})
}

// kept returns the hosts, sorted.
func (c *Certifier) kept() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Sorted(maps.Keys(c.hosts))
}

// ripe returns the hosts whose certificates are due, and that don't wait after a failure.
func (c *Certifier) ripe() (all []string) {
	now := c.now()
	for _, host := range c.kept() {
		if h, _ := c.get(host); h.due(now) && !now.Before(h.failure.Next) {
			all = append(all, host)
		}
	}
	return all
}

// untilNext returns the time until the next round.
func (c *Certifier) untilNext() time.Duration {
	wait, now := longest, c.now()
	for _, host := range c.kept() {
		h, _ := c.get(host)
		switch {
		case h.unsaved:
			wait = min(wait, pollEvery)
		case !h.due(now):
			wait = min(wait, h.renewAt.Sub(now))
		case now.Before(h.failure.Next): // another replica may store one meanwhile, after its operator has mended what failed
			wait = min(wait, h.failure.Next.Sub(now), patientPoll)
		default: // another replica orders one
			wait = min(wait, pollEvery)
		}
	}
	return wait
}

// read reads a host's certificate from the store, if it is due, and its failure. It reports false if the store can't be used.
func (c *Certifier) read(ctx context.Context, host string) bool {
	h, kept := c.get(host)
	if !kept || !h.due(c.now()) && !h.unsaved {
		return true
	}
	data, err := c.store.get(ctx, host)
	if errors.Is(err, errAbsent) {
		data, err = nil, nil
	}
	if err == nil {
		h.failure, err = c.readFailure(ctx, host, h.failure)
	}
	c.storeWorks(err)
	if err != nil {
		return false
	}
	if data != nil {
		c.useStored(host, data, &h)
	}
	c.set(host, h)
	return true
}

// useStored uses the certificate in a record, unless the one that is used was issued later.
func (c *Certifier) useStored(host string, data []byte, h *held) {
	pair, err := decodeCertificate(data, host, c.now())
	switch {
	case err != nil && h.unusable != err.Error():
		h.unusable = err.Error()
		c.log.Warn("a stored certificate can't be used: a new one is ordered", "host", host, "error", err)
	case err == nil && (h.pair == nil || h.foreign || newer(pair.Leaf, h.pair.Leaf)):
		h.pair, h.renewAt, h.foreign, h.unsaved = pair, c.renewalOf(pair), false, false
		c.log.Info("a stored certificate is used", describe(host, pair)...)
	}
}

// newer reports whether a certificate was issued after another one. Its lifetime may be shorter.
func newer(a, b *x509.Certificate) bool { return !a.Equal(b) && !a.NotBefore.Before(b.NotBefore) }

// describe returns what the log says of a certificate.
func describe(host string, pair *tls.Certificate) []any {
	return []any{"host", host, "serial", pair.Leaf.SerialNumber.Text(16), "expires", pair.Leaf.NotAfter.UTC()}
}

// renew orders a host's certificate. The one before is served until it expires.
func (c *Certifier) renew(ctx context.Context, host string) {
	h, _ := c.get(host)
	c.log.Info("a certificate is ordered", "host", host, "directory", c.settings.Directory)
	begun := h.failure.failed(errInterrupted, false, c.now())
	c.storeFailure(ctx, host, &begun) // it counts if this process ends before the order does
	limited, cancel := context.WithTimeout(ctx, orderLimit)
	pair, ordered, err := c.order(limited, host)
	cancel()
	switch {
	case err != nil && ctx.Err() != nil: // stopped, or the lease is lost: not the host's failure
		return
	case err != nil:
		c.fail(ctx, host, h, err, ordered)
		return
	}
	ctx = context.WithoutCancel(ctx)
	h = held{pair: pair, renewAt: c.renewalOf(pair)}
	if soonest := c.now().Add(pair.Leaf.NotAfter.Sub(c.now()) / 3); h.renewAt.Before(soonest) {
		h.renewAt = soonest // the server has dated it back
	}
	c.log.Info("a certificate was obtained", append(describe(host, pair), "renewal", h.renewAt.UTC())...)
	c.save(ctx, host, h)
	c.storeWorks(c.store.remove(ctx, host+failureSuffix))
}

// save stores a host's certificate, and uses it also if that fails.
func (c *Certifier) save(ctx context.Context, host string, h held) {
	data, err := encodeCertificate(h.pair)
	if err == nil {
		err = c.store.put(ctx, host, data, h.pair.Leaf.NotAfter.Sub(c.now())+certExtra)
	}
	h.unsaved = err != nil
	c.set(host, h)
	c.storeWorks(err)
}

// fail records and logs that an order failed.
func (c *Certifier) fail(ctx context.Context, host string, h held, err error, ordered bool) {
	h.failure = h.failure.failed(err, ordered, c.now())
	c.storeFailure(ctx, host, &h.failure)
	c.set(host, h)
	level := slog.LevelWarn
	if h.pair == nil || h.pair.Leaf.NotAfter.Before(h.failure.Next) {
		level = slog.LevelError // clients are refused until the next order
	}
	kind, detail := problemOf(err)
	c.log.Log(ctx, level, "the order of a certificate failed", "host", host, "problem", kind, "detail", detail, "error", err,
		"next_order", h.failure.Next.UTC())
}

// storeWorks logs that the store fails, again after a minute if the error is another one, and that it works again.
func (c *Certifier) storeWorks(err error) {
	if c.ctx.Err() != nil {
		return
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text != "" && text != c.storeErr && (c.storeErr == "" || c.now().Sub(c.storeLogged) > time.Minute):
		c.storeLogged = c.now()
		c.log.Error("the store of certificates can't be used: nothing is ordered until it can", "storage", c.settings.Storage, "error", err)
	case text == "" && c.storeErr != "":
		c.log.Info("the store of certificates can be used again", "storage", c.settings.Storage)
	}
	c.storeErr = text
}
