package proxy

import (
	"errors"
	"net/http"

	"sallyport/internal/auth"
)

// OwnPages serves a request of an identity that may pass. The path of the request is within those of the route.
type OwnPages func(w http.ResponseWriter, r *auth.Request, i *auth.Identity)

// serveOwn lets the route's own pages answer a request. A request without an identity, such as a preflight, has none of them, whatever the
// rules say.
func (g *Gate) serveOwn(rec *recorder, d *Decision) error {
	if d.Identity == nil {
		err := auth.Forbidden("own_pages_anonymous", errors.New("the gate's own pages are only for a person who is logged in"))
		g.refuse(rec, d, err)
		return err
	}
	rec.setTimeout(g.timeouts.Answer)
	h := rec.Header()
	d.setHSTS(h)
	addOwn(h, d.headerNow())
	d.Route.Own(rec, &d.Request, d.Identity)
	return nil
}
