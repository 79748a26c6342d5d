package proxy

import (
	"errors"
	"net/http"
	"time"

	"sallyport/internal/auth"
)

// Ask decides a request that another proxy forwards if it may pass (forward-auth). r is the client's request as that proxy described it. If
// it may pass, permit writes the answer for the proxy; its error refuses the request. Otherwise the answer is what the client receives.
func (g *Gate) Ask(w http.ResponseWriter, r *http.Request, permit func(http.ResponseWriter, *Permit) error) {
	g.serve(w, g.withoutCertificates(r), nil, func(rec *recorder, d *Decision, err *error) {
		p, failed := d.permit(g.asked.certificateNames)
		if failed == nil {
			failed = permit(rec, p)
		}
		if *err = failed; failed != nil {
			g.refuse(rec, d, failed)
		}
	})
}

// Judge is Ask for a proxy that sends each request that may not pass once more, to Answer. It reports whether the request may pass; if not,
// nothing is written, logged or counted, because Answer does so.
func (g *Gate) Judge(w http.ResponseWriter, r *http.Request, permit func(http.ResponseWriter, *Permit) error) bool {
	rec := &recorder{ResponseWriter: w}
	d, err := g.decide(g.withoutCertificates(r))
	if err != nil || d.Answer != nil {
		g.log.Debug("a question is answered with no, and the request will follow", "request_id", d.ID, "error", err)
		d.endSpan(rec, nil)
		return false
	}
	defer g.finish(rec, d, &err)
	var p *Permit
	if p, err = d.permit(g.asked.certificateNames); err == nil {
		err = permit(rec, p)
	}
	if err != nil {
		g.refuse(rec, d, err)
	}
	return true
}

// Answer answers a request that a proxy sends to be answered: one for the gate's own paths or, with all, any that may not pass. Others are
// refused, because nothing would forward them.
func (g *Gate) Answer(w http.ResponseWriter, r *http.Request, all bool) {
	check := func(d *Decision) error {
		if !all && d.endpoint == nil {
			return errNotAsked(d)
		}
		return nil
	}
	g.serve(w, g.withoutCertificates(r), check, func(rec *recorder, d *Decision, err *error) {
		*err = errNotAsked(d)
		g.refuse(rec, d, *err)
	})
}

// errNotAsked refuses a request that came without the headers of a question, and is not for the gate itself.
func errNotAsked(d *Decision) error {
	e := auth.Forbidden("not_asked",
		errors.New("the listener has forward_auth, and the request doesn't describe a client's request: compare with sallyport snippet"))
	e.Description = "The proxy in front of this gate sent the request itself instead of asking about it."
	if d.Navigation(false) {
		e.Link, e.Action = d.Origin+d.Target(), "Try again"
	}
	return e
}

// Show writes a page for a request that is not decided.
func (g *Gate) Show(w http.ResponseWriter, r *http.Request, status int, p auth.Page) {
	rec, d := &recorder{ResponseWriter: w}, &Decision{start: time.Now()}
	err := g.entrance.enter(r, d)
	defer g.finish(rec, d, &err)
	rec.setTimeout(g.timeouts.Answer)
	if err != nil {
		g.refuse(rec, d, err)
		return
	}
	g.write(rec, d, status, p)
}
