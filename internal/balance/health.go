package balance

import (
	"log/slog"
	"slices"
	"time"
)

// longestEjection is the limit of an ejection, in units of EjectTime.
const longestEjection = 16

// Failed records that a target didn't answer, and why. MaxFails failures in a row eject it.
func (b *Balancer) Failed(t *Target, why error) {
	b.mu.Lock()
	defer b.unlock()
	now := b.config.Now()
	t.fails++
	if b.config.MaxFails == 0 || t.fails < b.config.MaxFails || t.ejected(now) {
		return
	}
	lasts := b.config.EjectTime * time.Duration(min(1<<min(t.ejections, 10), longestEjection))
	t.ejections++
	t.ejectedUntil = now.Add(lasts)
	b.note(slog.LevelWarn, "a target of an upstream is ejected: requests go to the others", "upstream_target_ejected", t,
		"failures", t.fails, "for", lasts, "error", why)
}

// Succeeded records that a target answered, whatever it said.
func (b *Balancer) Succeeded(t *Target) {
	b.mu.Lock()
	defer b.unlock()
	now := b.config.Now()
	if t.ejected(now) && slices.ContainsFunc(b.targets, func(o *Target) bool { return !o.unhealthy && !o.ejected(now) }) {
		return // to a request from before: the others go on
	}
	t.fails, t.unproven = 0, false
	if t.ejections == 0 {
		return
	}
	switch {
	case !t.ejectedUntil.IsZero(): // all targets are ejected, and this one works
		b.putBack(t, now)
		t.fails, t.unproven = 0, false
	case now.Sub(t.returned) >= b.config.EjectTime:
		t.ejections = 0
	}
}

// takeBack puts the targets back whose ejection has ended.
func (b *Balancer) takeBack(now time.Time) {
	for _, t := range b.targets {
		if !t.ejectedUntil.IsZero() && !t.ejected(now) {
			b.putBack(t, now)
		}
	}
}

// putBack ends an ejection. Until the target has answered, it gets one request at a time, and one failure ejects it again.
func (b *Balancer) putBack(t *Target, now time.Time) {
	t.ejectedUntil, t.returned, t.unproven, t.waits = time.Time{}, now, true, time.Time{}
	t.fails = max(b.config.MaxFails-1, 0)
	b.note(slog.LevelInfo, "a target of an upstream gets requests again", "upstream_target_returned", t)
}

// Checked records the result of an active check of a target: nil if it passed.
func (b *Balancer) Checked(t *Target, failure error) {
	b.mu.Lock()
	defer b.unlock()
	if (failure != nil) == t.unhealthy {
		t.checks = 0
		return
	}
	t.checks++
	switch {
	case failure != nil && t.checks >= b.config.Unhealthy:
		t.unhealthy, t.checks = true, 0
		b.note(slog.LevelWarn, "a target of an upstream fails its health checks", "upstream_target_unhealthy", t, "error", failure)
	case failure == nil && t.checks >= b.config.Healthy:
		t.unhealthy, t.checks, t.returned = false, 0, b.config.Now()
		b.note(slog.LevelInfo, "a target of an upstream passes its health checks again", "upstream_target_healthy", t)
	}
}

// note adds an event of a target. The caller holds mu.
func (b *Balancer) note(level slog.Level, message, name string, t *Target, attrs ...any) {
	b.events = append(b.events, event{level, message, append([]any{"event", name, "target", t.Name}, attrs...)})
}

// A State says whether requests go to a target.
type State struct {
	Name   string
	Usable bool // neither ejected nor unhealthy
}

// States returns the states of all targets.
func (b *Balancer) States() (all []State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.config.Now()
	for _, t := range b.targets {
		all = append(all, State{t.Name, !t.unhealthy && !t.ejected(now)})
	}
	return all
}
