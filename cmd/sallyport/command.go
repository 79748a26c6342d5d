package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"sallyport/internal/app"
	"sallyport/internal/config"
)

var (
	errUsage   = errors.New("the command line is wrong, and what is wrong was printed")
	errRefused = errors.New("the request would be refused, and why was printed")
)

// A command is one command line and what it reads and writes.
type command struct {
	name           string
	args           []string
	flags          *flag.FlagSet
	stdin          io.Reader
	stdout, stderr io.Writer
	file           string // -c
}

// parse reads the flags. Its error is errUsage, or flag.ErrHelp after printing them for -h.
func (c *command) parse() error {
	c.flags.SetOutput(io.Discard)
	switch err := c.flags.Parse(c.args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(c.stdout, "flags of sallyport %s:\n", c.name)
		c.flags.SetOutput(c.stdout)
		c.flags.PrintDefaults()
		return flag.ErrHelp
	case err != nil:
		return c.wrong(err.Error())
	case c.flags.NArg() > 0:
		return c.wrong(fmt.Sprintf("expected flags only, got %q", c.flags.Arg(0)))
	}
	return nil
}

// wrong says what is wrong with the command line.
func (c *command) wrong(text string) error {
	fmt.Fprintf(c.stderr, "sallyport %s: %s; sallyport %[1]s -h lists the flags\n", c.name, text)
	return errUsage
}

// takesFile adds the flag that names the configuration, in both of its spellings.
func (c *command) takesFile() {
	for _, name := range []string{"c", "config"} {
		c.flags.StringVar(&c.file, name, "", "the configuration `FILE`; - is standard input; without it, environment variables")
	}
}

// source is the configuration that the command line names.
func (c *command) source() (config.Source, error) {
	switch {
	case c.file == "-":
		return config.FromReader(c.stdin), nil
	case c.file != "":
		return config.FromFile(c.file), nil
	case config.InEnvironment():
		return config.FromEnvironment(), nil
	}
	return nil, c.wrong("expected -c FILE, or a configuration in SALLYPORT_UPSTREAM, SALLYPORT_ISSUER and other environment variables")
}

// configured reads the flags of a command that takes a configuration.
func (c *command) configured() (config.Source, error) {
	c.takesFile()
	if err := c.parse(); err != nil {
		return nil, err
	}
	return c.source()
}

func (c *command) run(ctx context.Context) error {
	source, err := c.configured()
	if err != nil {
		return err
	}
	return app.Run(ctx, app.Options{Config: source, Reload: hangups(ctx), Log: c.stderr})
}

func (c *command) check(ctx context.Context) error {
	online := c.flags.Bool("online", false, "also ask the issuers, Redis servers and upstreams whether they can be used")
	source, err := c.configured()
	if err != nil {
		return err
	}
	if *online {
		return app.CheckOnline(ctx, source, c.stdout)
	}
	return app.Check(source, c.stdout)
}

func (c *command) explain(context.Context) error {
	var o app.ExplainOptions
	c.flags.StringVar(&o.Request, "request", "", "`METHOD URL` as a client sends it, such as 'GET https://app.example.com/admin'")
	c.flags.StringVar(&o.Token, "token", "", "a `FILE` with an access token; - is standard input")
	c.flags.StringVar(&o.Claims, "claims", "", "a `FILE` with the claims of an access token that counts as verified")
	c.flags.Func("header", "a header of the request, `NAME: VALUE`; may be repeated", func(line string) error {
		o.Headers = append(o.Headers, line)
		return nil
	})
	c.takesFile()
	if err := c.parse(); err != nil {
		return err
	}
	switch {
	case o.Request == "":
		return c.wrong("expected -request 'METHOD URL'")
	case o.Token != "" && o.Claims != "":
		return c.wrong("expected at most one of -token and -claims")
	case o.Token == "-" && c.file == "-":
		return c.wrong("standard input can't be both the configuration and the token: write one of them into a file")
	}
	var err error
	if o.Config, err = c.source(); err != nil {
		return err
	}
	passes, err := app.Explain(o, c.stdin, c.stdout, c.stderr)
	if err == nil && !passes {
		return errRefused
	}
	return err
}

func (c *command) health(ctx context.Context) error {
	c.takesFile()
	live := c.flags.Bool("live", false, "ask /healthz, whether the process answers, instead of /readyz")
	if err := c.parse(); err != nil {
		return err
	}
	path := "/readyz"
	if *live {
		path = "/healthz"
	}
	return app.Health(ctx, c.file, path, c.stdout)
}

func (c *command) demo(ctx context.Context) error {
	listen := c.flags.String("listen", "127.0.0.1:8000", "the gate's `ADDRESS`; port 0 takes a free one")
	if err := c.parse(); err != nil {
		return err
	}
	return app.Demo(ctx, *listen, c.stdout, c.stderr)
}

func (c *command) secret(context.Context) error {
	hash := c.flags.Bool("hash", false, "hash the secret on standard input")
	if err := c.parse(); err != nil {
		return err
	}
	if *hash {
		return app.Secret(c.stdin, c.stdout)
	}
	return app.Secret(nil, c.stdout)
}

func (c *command) schema(context.Context) error {
	if err := c.parse(); err != nil {
		return err
	}
	text, err := config.Schema()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.stdout, string(text))
	return err
}

func (c *command) version(context.Context) error {
	_, err := fmt.Fprintln(c.stdout, versionLine())
	return err
}
