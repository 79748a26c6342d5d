package main

import (
	"context"
	"strings"

	"sallyport/internal/app"
)

// importFiles is sallyport import.
func (c *command) importFiles() execution {
	folder := c.flags.String("o", "", "write sallyport.yaml and routes/*.yaml to this `DIR`; default: one file on standard output")
	return func(context.Context) error {
		files, line := splitCommandLine(c.flags.Args())
		if len(files) == 0 && len(line) == 0 {
			return c.usageError("expected the files to import after the flags; - is standard input")
		}
		o := app.ImportOptions{System: c.operand, Folder: *folder, Files: files, CommandLine: line}
		return app.Import(o, c.stdin, c.stdout, c.stderr)
	}
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
