package main

import (
	"context"
	"flag"
	"net/url"

	"sallyport/internal/app"
)

func (c *command) listSessions() execution {
	json := c.flags.Bool("json", false, "print one JSON object for each session, each on a line")
	c.addSessionFlags()
	return func(ctx context.Context) error {
		query, err := c.sessionQuery()
		if err != nil {
			return err
		}
		return app.ListSessions(ctx, c.file, query, *json, c.stdout)
	}
}

func (c *command) endSessions() execution {
	c.addSessionFlags()
	return func(ctx context.Context) error {
		query, err := c.sessionQuery()
		switch {
		case err != nil:
			return err
		case len(query) == 0:
			return c.usageError("expected at least one of -sub, -sid, -client-id and -route")
		}
		return app.EndSessions(ctx, c.file, query, c.stdout)
	}
}

// addSessionFlags adds the flags that select sessions, and -c.
func (c *command) addSessionFlags() {
	c.flags.String("sub", "", "the `SUB` of the user at the issuer")
	c.flags.String("sid", "", "the `SID` of the session at the issuer")
	c.flags.String("client-id", "", "the client `ID` of the login")
	c.flags.String("route", "", "the `NAME` of the route where the user logged in")
	c.flags.String("iss", "", "the `ISSUER` of the login")
	c.addFileFlag()
}

// sessionQuery returns the flags that select sessions as parameters of the admin API.
func (c *command) sessionQuery() (url.Values, error) {
	parameters := map[string]string{"sub": "sub", "sid": "sid", "client-id": "client_id", "route": "route", "iss": "iss"}
	query := url.Values{}
	var err error
	c.flags.Visit(func(f *flag.Flag) { // the flags that are set, even to ""
		name := parameters[f.Name]
		switch {
		case name != "" && f.Value.String() == "" && err == nil: // an empty variable of a shell must not select more
			err = c.usageError("expected a value for -" + f.Name)
		case name != "":
			query.Set(name, f.Value.String())
		}
	})
	return query, err
}
