package main

import (
	"cmp"
	"context"
	"io"

	"sallyport/internal/cmdline"
	"sallyport/internal/config"
)

// shells are the shells that sallyport completion knows.
var shells = []string{"bash", "fish", "zsh"}

func (c *command) completion() execution {
	return func(context.Context) error {
		p := program()
		write := map[string]func(io.Writer) error{"bash": p.WriteBash, "fish": p.WriteFish, "zsh": p.WriteZsh}[c.operand]
		return write(c.stdout)
	}
}

func (c *command) man() execution {
	return func(context.Context) error { return program().WriteMan(c.stdout, manPage()) }
}

// manPage returns what the man page says besides the commands.
func manPage() cmdline.ManPage {
	return cmdline.ManPage{
		Version: version,
		Date:    cmp.Or(day(), "1970-01-01"),
		Description: []string{
			"sallyport stands in front of an HTTP service. It logs users in at an OpenID Provider, verifies sessions and access tokens, " +
				"decides by rules which requests may pass, and forwards those with the right token and headers.",
			"The configuration is YAML. A mistake in it is refused when it is loaded, with file, line and what to write instead.",
		},
		Sections: []cmdline.Section{
			{Title: "exit status", Terms: [][2]string{
				{"0", "The command has succeeded."},
				{"1", "It has failed, or its answer is no: the gate isn't ready, the request would be refused."},
				{"2", "The command line is invalid."},
			}},
			{Title: "environment", Paragraphs: []string{"NAME_FILE names a file with the value of NAME instead. " +
				"A configuration file can use any other variable, as in ${env:NAME}."}, Terms: config.Variables()},
			{Title: "signals", Terms: [][2]string{
				{"SIGHUP", "The configuration is read again. If it has a mistake, the gate goes on with the one before."},
				{"SIGTERM, SIGINT", "The gate stops: requests in flight have limits.drain_timeout to end."},
			}},
			{Title: "files", Terms: [][2]string{
				{"/etc/sallyport/sallyport.yaml", "The configuration of the systemd unit and of the container image."},
				{"/etc/sallyport/environment", "Environment variables of the systemd unit."},
				{"/var/lib/sallyport", "The folder in which the systemd unit may write, for certificates by ACME."},
			}},
		},
	}
}
