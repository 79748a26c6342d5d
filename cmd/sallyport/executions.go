package main

import (
	"context"
	"fmt"

	"sallyport/internal/app"
	"sallyport/internal/config"
)

func (c *command) run() execution {
	c.addFileFlag()
	return func(ctx context.Context) error {
		source, err := c.source()
		if err != nil {
			return err
		}
		return app.Run(ctx, app.Options{Config: source, Reload: hangups(ctx), Log: c.stderr, Version: version, Commit: revision()})
	}
}

func (c *command) check() execution {
	online := c.flags.Bool("online", false, "also test the issuers, Redis servers and upstreams")
	c.addFileFlag()
	return func(ctx context.Context) error {
		source, err := c.source()
		switch {
		case err != nil:
			return err
		case *online:
			return app.CheckOnline(ctx, source, c.stdout)
		}
		return app.Check(source, c.stdout)
	}
}

func (c *command) explain() execution {
	var o app.ExplainOptions
	c.flags.StringVar(&o.Request, "request", "", "`METHOD URL` as a client sends it, such as 'GET https://app.example.com/admin'")
	c.flags.StringVar(&o.Token, "token", "", "a `FILE` with an access token; - is standard input")
	c.flags.StringVar(&o.Claims, "claims", "", "a `FILE` with the claims of an access token, as JSON, which count as verified")
	c.flags.Func("header", "a header of the request, `NAME: VALUE`; may be repeated", func(line string) error {
		o.Headers = append(o.Headers, line)
		return nil
	})
	c.addFileFlag()
	return func(context.Context) error { return c.explainRequest(&o) }
}

// explainRequest runs sallyport explain with its options.
func (c *command) explainRequest(o *app.ExplainOptions) error {
	switch {
	case o.Request == "":
		return c.usageError("expected -request 'METHOD URL'")
	case o.Token != "" && o.Claims != "":
		return c.usageError("expected at most one of -token and -claims")
	case o.Token == "-" && c.file == "-":
		return c.usageError("standard input can't be both the configuration and the token: use a file for one of them")
	}
	var err error
	if o.Config, err = c.source(); err != nil {
		return err
	}
	passes, err := app.Explain(*o, c.stdin, c.stdout, c.stderr)
	if err == nil && !passes {
		return errRefused
	}
	return err
}

func (c *command) snippet() execution {
	c.addFileFlag()
	return func(context.Context) error {
		source, err := c.source()
		if err != nil {
			return err
		}
		return app.Snippet(source, c.operand, c.stdout)
	}
}

func (c *command) health() execution {
	c.addFileFlag()
	live := c.flags.Bool("live", false, "check /healthz (the process responds) instead of /readyz")
	return func(ctx context.Context) error {
		path := "/readyz"
		if *live {
			path = "/healthz"
		}
		return app.Health(ctx, c.file, path, c.stdout)
	}
}

func (c *command) demo() execution {
	listen := c.flags.String("listen", "127.0.0.1:8000", "the gate's `ADDRESS`; port 0 selects a free port")
	return func(ctx context.Context) error { return app.Demo(ctx, *listen, c.stdout, c.stderr) }
}

func (c *command) secret() execution {
	hash := c.flags.Bool("hash", false, "hash the secret on standard input")
	return func(context.Context) error {
		if *hash {
			return app.Secret(c.stdin, c.stdout)
		}
		return app.Secret(nil, c.stdout)
	}
}

func (c *command) schema() execution {
	return func(context.Context) error {
		text, err := config.Schema()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.stdout, string(text))
		return err
	}
}

func (c *command) version() execution {
	return func(context.Context) error {
		_, err := fmt.Fprintln(c.stdout, versionLine())
		return err
	}
}
