package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/oidc"
	"sallyport/internal/proxy"
)

// onlineTimeout bounds all requests of CheckOnline together.
const onlineTimeout = 30 * time.Second

// errOnline means that at least one finding is bad.
var errOnline = errors.New("fix what is marked with FAILED: the gate can't work without it")

// CheckOnline checks a configuration as Check does. Then it sends requests to its issuers, Redis servers and upstreams, and writes what
// works and what doesn't. The requests change nothing there; each client authenticates once.
func CheckOnline(ctx context.Context, source *config.Source, out io.Writer) error {
	if err := Check(source, out); err != nil {
		return err
	}
	file, err := source.Load()
	if err != nil {
		return err
	}
	b := newCheckBuilder()
	defer b.state.close()
	if _, err := b.gate(file); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, onlineTimeout)
	defer cancel()
	x := &examiner{b: b, out: out, seen: map[*proxy.Upstream]bool{}}
	for i := range file.Routes {
		if err := x.route(ctx, &file.Routes[i]); err != nil {
			return err
		}
	}
	for _, r := range b.redisServers {
		warnings, err := r.Examine(ctx)
		findings := []oidc.Finding{finding(err, "it can be used")}
		for _, text := range warnings {
			findings = append(findings, oidc.Finding{Verdict: oidc.Warning, Text: text})
		}
		x.report("redis "+r.Name(), findings)
	}
	if b.certifier != nil {
		terms, err := b.certifier.Reach(ctx)
		x.report("acme "+b.certifier.Settings().Directory, []oidc.Finding{finding(err, "it answers; its terms of service: "+terms)})
	}
	if x.failed {
		return errOnline
	}
	return nil
}

// An examiner examines the servers that a configuration needs.
type examiner struct {
	b      *builder
	out    io.Writer
	seen   map[*proxy.Upstream]bool // the upstreams that were examined
	failed bool
}

func (x *examiner) route(ctx context.Context, r *config.Route) error {
	upstream, err := x.b.upstream(r.Route.Upstream)
	if err != nil {
		return err
	}
	if upstream != nil && !x.seen[upstream] {
		x.seen[upstream] = true
		for _, t := range upstream.Reach(ctx) {
			x.report("upstream "+t.Target, []oidc.Finding{finding(t.Err, "it takes connections")})
		}
	}
	if !r.HasOIDC {
		return nil
	}
	for _, part := range r.Parts() {
		clients, err := x.b.clients(&part.OIDC.Flow)
		if err != nil {
			return err
		}
		for _, client := range clients {
			examination := part.OIDC.Flow.Examination(r.Route.Paths[0], r.Route.PublicURL)
			x.report(fmt.Sprintf("route %s, issuer %s", r.Name, client.Issuer().URL()), client.Examine(ctx, examination))
		}
	}
	return nil
}

func finding(err error, good string) oidc.Finding {
	if err != nil {
		return oidc.Finding{Verdict: oidc.Bad, Text: err.Error()}
	}
	return oidc.Finding{Verdict: oidc.Good, Text: good}
}

func (x *examiner) report(what string, findings []oidc.Finding) {
	fmt.Fprintln(x.out, what)
	for _, f := range findings {
		fmt.Fprintf(x.out, "  %-8s %s\n", f.Verdict, f.Text)
		x.failed = x.failed || f.Verdict == oidc.Bad
	}
}
