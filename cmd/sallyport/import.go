package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/app"
	"sallyport/internal/importer"
)

// importFiles runs sallyport import.
func (c *command) importFiles(context.Context) error {
	o := app.ImportOptions{}
	if len(c.args) > 0 && !strings.HasPrefix(c.args[0], "-") {
		o.System, c.args = c.args[0], c.args[1:]
	}
	c.flags.StringVar(&o.Folder, "o", "", "write sallyport.yaml and routes/*.yaml to this `FOLDER`; default: one file on standard output")
	if err := c.parseFlags(); err != nil {
		return err
	}
	o.Files, o.CommandLine = splitCommandLine(c.flags.Args())
	switch {
	case !slices.Contains(importer.Systems(), o.System):
		return c.usageError(fmt.Sprintf("expected one of %s before the flags, got %q", strings.Join(importer.Systems(), ", "), o.System))
	case len(o.Files) == 0 && len(o.CommandLine) == 0:
		return c.usageError("expected the files to import after the flags; - is standard input")
	}
	return app.Import(o, c.stdin, c.stdout, c.stderr)
}

// splitCommandLine splits arguments at --: files, and the command line of the other system. Flags are one without --, too.
func splitCommandLine(args []string) (files, line []string) {
	for i, arg := range args {
		switch {
		case arg == "--":
			return args[:i], args[i+1:]
		case strings.HasPrefix(arg, "-") && arg != "-":
			return args[:i], args[i:]
		}
	}
	return args, nil
}
