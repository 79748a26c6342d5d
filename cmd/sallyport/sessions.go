package main

import (
	"context"
	"flag"
	"net/url"

	"sallyport/internal/app"
)

// sessions runs sallyport sessions list and sallyport sessions end.
func (c *command) sessions(ctx context.Context) error {
	subcommand := ""
	if len(c.args) > 0 {
		subcommand, c.args = c.args[0], c.args[1:]
	}
	execute := map[string]func(context.Context) error{"list": c.listSessions, "end": c.endSessions}[subcommand]
	if execute == nil {
		return c.usageError("expected list or end")
	}
	c.name += " " + subcommand
	return execute(ctx)
}

func (c *command) listSessions(ctx context.Context) error {
	json := c.flags.Bool("json", false, "print one JSON object for each session, each on a line")
	query, err := c.sessionQuery()
	if err != nil {
		return err
	}
	return app.ListSessions(ctx, c.file, query, *json, c.stdout)
}

func (c *command) endSessions(ctx context.Context) error {
	query, err := c.sessionQuery()
	switch {
	case err != nil:
		return err
	case len(query) == 0:
		return c.usageError("expected at least one of -sub, -sid, -client-id and -route")
	}
	return app.EndSessions(ctx, c.file, query, c.stdout)
}

// sessionQuery adds the flags that select sessions, parses all flags, and returns the parameters of the admin API.
func (c *command) sessionQuery() (url.Values, error) {
	parameters := map[string]string{"sub": "sub", "sid": "sid", "client-id": "client_id", "route": "route", "iss": "iss"}
	c.flags.String("sub", "", "the `SUB` of the user at the issuer")
	c.flags.String("sid", "", "the `SID` of the session at the issuer")
	c.flags.String("client-id", "", "the client `ID` of the login")
	c.flags.String("route", "", "the `NAME` of the route where the user logged in")
	c.flags.String("iss", "", "the `ISSUER` of the login")
	c.addFileFlag()
	if err := c.parse(); err != nil {
		return nil, err
	}
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
