package flow

import (
	"slices"
	"strconv"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// clients are the gate's clients at the issuer of a part: one, or a list from which a request chooses.
type clients struct {
	list        []*oidc.Client
	arg         string   // client_arg
	header      []string // the names of headers that choose
	readOptions          // bodies may choose, if they are read
}

func newClients(list []*oidc.Client, arg string, s readOptions) *clients {
	name := headerName(arg)
	return &clients{list: list, arg: arg, header: []string{"X-" + name, name}, readOptions: s}
}

func (c *clients) first() *oidc.Client { return c.list[0] }

// chosen returns the client that a request chooses by its ID or its number from 1. Without a valid choice it is the first.
func (c *clients) chosen(r *auth.Request) *oidc.Client { return c.list[c.chosenIndex(r)] }

// chosenIndex returns the index of that client.
func (c *clients) chosenIndex(r *auth.Request) int {
	if len(c.list) == 1 {
		return 0
	}
	choice := c.choice(r)
	if n := c.indexOf(choice); n >= 0 {
		return n
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
		return "" // the flow that reads its credential from the body returns the error
	}
	return form.Values.Get(c.arg)
}

// byID returns the client with this ID, or nil.
func (c *clients) byID(id string) *oidc.Client {
	if n := c.indexOf(id); n >= 0 {
		return c.list[n]
	}
	return nil
}

func (c *clients) indexOf(id string) int {
	return slices.IndexFunc(c.list, func(client *oidc.Client) bool { return client.ID == id })
}

// forIdentity returns the client to which the tokens of an identity were issued, or the first.
func (c *clients) forIdentity(i *auth.Identity) *oidc.Client {
	if client := c.byID(i.ClientID); client != nil {
		return client
	}
	return c.first()
}
