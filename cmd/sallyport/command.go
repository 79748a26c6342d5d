package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/forwardauth"
)

var (
	errUsage   = errors.New("invalid command line")     // after the command has printed the error
	errRefused = errors.New("request would be refused") // after sallyport explain has printed the reason
)

// A command is a parsed command line with its standard streams.
type command struct {
	name           string
	args           []string
	flags          *flag.FlagSet
	stdin          io.Reader
	stdout, stderr io.Writer
	file           string // of -c; "-" for standard input, "" without -c
}

// parse parses the flags. It returns errUsage after printing an error, and flag.ErrHelp after printing the flags for -h.
func (c *command) parse() error {
	if err := c.parseFlags(); err != nil {
		return err
	}
	if c.flags.NArg() > 0 {
		return c.usageError(fmt.Sprintf("expected flags only, got %q", c.flags.Arg(0)))
	}
	return nil
}

// parseFlags parses the flags as parse does, and leaves the arguments behind them in c.flags.
func (c *command) parseFlags() error {
	c.flags.SetOutput(io.Discard)
	switch err := c.flags.Parse(c.args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(c.stdout, "flags of sallyport %s:\n", c.name)
		c.flags.SetOutput(c.stdout)
		c.flags.PrintDefaults()
		return flag.ErrHelp
	case err != nil:
		return c.usageError(err.Error())
	}
	return nil
}

// usageError prints what is wrong with the command line and returns errUsage.
func (c *command) usageError(text string) error {
	fmt.Fprintf(c.stderr, "sallyport %s: %s; sallyport %[1]s -h lists the flags\n", c.name, text)
	return errUsage
}

// addFileFlag adds the flags -c and -config, which both set file.
func (c *command) addFileFlag() {
	for _, name := range []string{"c", "config"} {
		c.flags.StringVar(&c.file, name, "", "the configuration `FILE`; - is standard input; default: environment variables")
	}
}

// source returns the configuration that the command line selects.
func (c *command) source() (*config.Source, error) {
	switch {
	case c.file == "-":
		return config.FromReader(c.stdin), nil
	case c.file != "":
		return config.FromFile(c.file), nil
	case config.InEnvironment():
		return config.FromEnvironment(), nil
	}
	return nil, c.usageError("expected -c FILE, or a configuration in SALLYPORT_UPSTREAM, SALLYPORT_ISSUER and other environment variables")
}

// parseSource adds -c, parses the flags and returns the configuration.
func (c *command) parseSource() (*config.Source, error) {
	c.addFileFlag()
	if err := c.parse(); err != nil {
		return nil, err
	}
	return c.source()
}

func (c *command) run(ctx context.Context) error {
	source, err := c.parseSource()
	if err != nil {
		return err
	}
	return app.Run(ctx, app.Options{Config: source, Reload: hangups(ctx), Log: c.stderr, Version: version, Commit: revision()})
}

func (c *command) check(ctx context.Context) error {
	online := c.flags.Bool("online", false, "also test the issuers, Redis servers and upstreams")
	source, err := c.parseSource()
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
	c.flags.StringVar(&o.Claims, "claims", "", "a `FILE` with the claims of an access token, as JSON, which count as verified")
	c.flags.Func("header", "a header of the request, `NAME: VALUE`; may be repeated", func(line string) error {
		o.Headers = append(o.Headers, line)
		return nil
	})
	c.addFileFlag()
	if err := c.parse(); err != nil {
		return err
	}
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
	passes, err := app.Explain(o, c.stdin, c.stdout, c.stderr)
	if err == nil && !passes {
		return errRefused
	}
	return err
}

func (c *command) snippet(context.Context) error {
	kind := ""
	if len(c.args) > 0 && !strings.HasPrefix(c.args[0], "-") {
		kind, c.args = c.args[0], c.args[1:]
	}
	source, err := c.parseSource()
	if err != nil {
		return err
	}
	if !slices.Contains(forwardauth.Proxies(), kind) {
		return c.usageError(fmt.Sprintf("expected one of %s before the flags, got %q", strings.Join(forwardauth.Proxies(), ", "), kind))
	}
	return app.Snippet(source, kind, c.stdout)
}

func (c *command) health(ctx context.Context) error {
	c.addFileFlag()
	live := c.flags.Bool("live", false, "check /healthz (the process responds) instead of /readyz")
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
	listen := c.flags.String("listen", "127.0.0.1:8000", "the gate's `ADDRESS`; port 0 selects a free port")
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
