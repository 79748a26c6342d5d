package flow

import (
	"strconv"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// clients are what a route is to its issuer: one client, or several of which a request chooses one.
type clients struct {
	list        []*oidc.Client
	arg         string   // client_arg
	header      []string // the headers of that name
	readOptions          // the choice may stand in bodies that are read
}

func newClients(list []*oidc.Client, arg string, s readOptions) *clients {
	name := headerName(arg)
	return &clients{list: list, arg: arg, header: []string{"X-" + name, name}, readOptions: s}
}

func (c *clients) first() *oidc.Client { return c.list[0] }

// of is the client that a request chooses, by its ID or its number from 1; the first one if it says nothing or nothing
// that is known.
func (c *clients) chosen(r *auth.Request) *oidc.Client { return c.list[c.chosenIndex(r)] }

func (c *clients) chosenIndex(r *auth.Request) int {
	if len(c.list) == 1 {
		return 0
	}
	choice := c.choice(r)
	for n, client := range c.list {
		if choice == client.ID {
			return n
		}
	}
	if n, err := strconv.Atoi(choice); err == nil && n >= 1 && n <= len(c.list) {
		return n - 1
	}
	return 0
}

func (c *clients) choice(r *auth.Request) string {
	for _, name := range c.header {
		if v := r.Header.Get(name); v != "" {
			return v
		}
	}
	if v := r.Query().Get(c.arg); v != "" || !c.fromBodies {
		return v
	}
	form, err := r.Form(c.bodyLimit)
	if err != nil {
		return "" // whoever looks for a credential there says so
	}
	return form.Values.Get(c.arg)
}

// byID is the client of this ID, or nil.
func (c *clients) byID(id string) *oidc.Client {
	if n := c.indexOf(id); n >= 0 {
		return c.list[n]
	}
	return nil
}

func (c *clients) indexOf(id string) int {
	for n, client := range c.list {
		if client.ID == id {
			return n
		}
	}
	return -1
}

// ofIdentity is the client whose tokens these are, or the first.
func (c *clients) forIdentity(i *auth.Identity) *oidc.Client {
	if client := c.byID(i.ClientID); client != nil {
		return client
	}
	return c.first()
}
