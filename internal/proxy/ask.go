package proxy

import (
	"errors"
	"net/http"
	"time"

	"sallyport/internal/auth"
)

// Ask decides a request that another proxy forwards if it may pass (forward-auth). r is the client's request as that proxy described it. If
// it may pass, permit writes the answer for the proxy; its error refuses the request. Otherwise the answer is what the client receives. Its
// status is never 2xx, which the proxy would take for the permission.
func (g *Gate) Ask(w http.ResponseWriter, r *http.Request, permit func(http.ResponseWriter, *Permit) error) {
	rec := &recorder{ResponseWriter: w, asked: true}
	g.serve(rec, g.withoutCertificates(r), nil, func(g *Gate, rec *recorder, d *Decision) error { return g.permit(rec, d, permit) })
}

// permit lets permit write the answer for a request that may pass, or refuses the request.
func (g *Gate) permit(rec *recorder, d *Decision, permit func(http.ResponseWriter, *Permit) error) error {
	p, err := d.permit(g.asked.certificateNames)
	if err == nil {
		rec.permitted = true
		err = permit(rec, p)
	}
	if err != nil {
		rec.permitted = false
		g.refuse(rec, d, err)
	}
	return err
}

// Judge is Ask for a proxy that learns nothing of a request that may not pass but that. It reports whether the request may pass; if not,
// nothing is written. If the proxy sends such requests once more, to Answer, they are logged and counted there, otherwise here.
func (g *Gate) Judge(w http.ResponseWriter, r *http.Request, again bool, permit func(http.ResponseWriter, *Permit) error) bool {
	rec := &recorder{ResponseWriter: w, asked: true}
	d, err := g.decide(g.withoutCertificates(r))
	passes := err == nil && d.Answer == nil
	switch {
	case passes:
		defer g.finish(rec, d, &err)
		err = g.permit(rec, d, permit)
	case again:
		d.span.End()
	default:
		rec.status = http.StatusUnauthorized
		g.finish(rec, d, &err)
	}
	return passes
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
	g.serve(&recorder{ResponseWriter: w}, g.withoutCertificates(r), check, func(g *Gate, rec *recorder, d *Decision) error {
		err := errNotAsked(d)
		g.refuse(rec, d, err)
		return err
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
