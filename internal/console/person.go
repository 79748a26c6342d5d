package console

import (
	"net/http"
	"path"
	"strings"

	"sallyport/internal/auth"
)

// Person serves the console to a person whom a route has let pass. base is the route's path.
func (c *Console) Person(w http.ResponseWriter, r *auth.Request, i *auth.Identity, base string) {
	base = strings.TrimSuffix(base, "/")
	name, within := strings.CutPrefix(r.Path, base+"/")
	if !within { // the base itself: links between pages need the slash
		redirect(w, "./"+path.Base(base)+"/")
		return
	}
	v := &visitor{
		Name: i.Subject, Person: true, MayEnd: true, Form: c.formToken("person", i.Issuer, i.Subject, i.ClientID),
		actor: Actor{Client: r.Client(), Issuer: i.Issuer, Subject: i.Subject}, origins: []string{r.Origin, r.AskedAt},
	}
	if i.Subject == "" {
		c.message(w, v, http.StatusForbidden, "Not allowed", "The console is for people, and this login has no sub.")
		return
	}
	c.serve(w, r.Request, name, v)
}
