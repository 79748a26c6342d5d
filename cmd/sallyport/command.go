package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"sallyport/internal/cmdline"
	"sallyport/internal/config"
)

var (
	errUsage   = errors.New("invalid command line")     // after the command has printed the error
	errRefused = errors.New("request would be refused") // after sallyport explain has printed the reason
)

// A command is a command line with its standard streams.
type command struct {
	action         action
	args           []string // after the name
	operand        string   // the argument before the flags, one of action.Values
	flags          *flag.FlagSet
	stdin          io.Reader
	stdout, stderr io.Writer
	file           string // of -c; "-" for standard input, "" without -c
}

// An execution runs a command whose flags are parsed.
type execution func(context.Context) error

// dispatch finds the command that the arguments name, parses its flags and runs it.
func (c *command) dispatch(ctx context.Context, args []string) error {
	if err := c.find(args); err != nil {
		return err
	}
	c.flags = flag.NewFlagSet(c.action.Name, flag.ContinueOnError)
	execute := c.action.begin(c)
	if err := c.parse(); err != nil {
		return err
	}
	return execute(ctx)
}

// find sets action and args. It returns errUsage after printing an error if no command has the name.
func (c *command) find(args []string) error {
	for _, c.action = range actions() {
		words := strings.Fields(c.action.Name)
		if len(args) >= len(words) && slices.Equal(args[:len(words)], words) {
			c.args = args[len(words):]
			return nil
		}
	}
	p := program()
	if members := p.Group(args[0]); members != nil {
		fmt.Fprintf(c.stderr, "sallyport %s: expected %s; sallyport help lists the commands\n", args[0], alternatives(members))
		return errUsage
	}
	fmt.Fprintf(c.stderr, "sallyport: there is no command %q\n", args[0])
	p.WriteUsage(c.stderr)
	return errUsage
}

// parse parses the flags, and the operand before them. It returns errUsage after printing an error, and flag.ErrHelp after printing the
// flags for -h.
func (c *command) parse() error {
	if c.action.Values != nil && len(c.args) > 0 && !strings.HasPrefix(c.args[0], "-") {
		c.operand, c.args = c.args[0], c.args[1:]
	}
	c.flags.SetOutput(io.Discard)
	switch err := c.flags.Parse(c.args); {
	case errors.Is(err, flag.ErrHelp):
		c.help()
		return flag.ErrHelp
	case err != nil:
		return c.usageError(err.Error())
	case c.action.Values != nil && !slices.Contains(c.action.Values, c.operand):
		return c.usageError(fmt.Sprintf("expected one of %s before the flags, got %q", strings.Join(c.action.Values, ", "), c.operand))
	case c.flags.NArg() > 0 && !c.action.Files:
		return c.usageError(fmt.Sprintf("expected flags only, got %q", c.flags.Arg(0)))
	}
	return nil
}

// help prints the command's arguments and flags.
func (c *command) help() {
	fmt.Fprintf(c.stdout, "usage: sallyport %s\n", c.action.Synopsis())
	if len(cmdline.Flags(c.flags)) > 0 {
		fmt.Fprintf(c.stdout, "flags of sallyport %s:\n", c.action.Name)
		c.flags.SetOutput(c.stdout)
		c.flags.PrintDefaults()
	}
}

// usageError prints what is wrong with the command line and returns errUsage.
func (c *command) usageError(text string) error {
	fmt.Fprintf(c.stderr, "sallyport %s: %s; sallyport %[1]s -h lists the flags\n", c.action.Name, text)
	return errUsage
}

// alternatives joins words as a sentence does: "nginx, caddy or envoy".
func alternatives(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
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
