package main

import (
	"flag"
	"io"

	"sallyport/internal/cmdline"
	"sallyport/internal/forwardauth"
	"sallyport/internal/importer"
)

// An action is a command with the method that declares its flags. The method returns what to run when the flags are parsed.
type action struct {
	cmdline.Command
	begin func(*command) execution
}

// actions returns all commands in the order of the usage text. A new command is one element here: its line in the usage text, its
// completion and its place in the man page follow.
func actions() []action {
	return []action{
		{cmdline.Command{Name: "run", Arguments: "[-c FILE]",
			Summary: "serve the routes of FILE until SIGTERM; SIGHUP reloads FILE"}, (*command).run},
		{cmdline.Command{Name: "check", Arguments: "[-c FILE] [-online]",
			Summary: "check FILE and print all errors in it; -online also tests issuers, Redis servers and upstreams"}, (*command).check},
		{cmdline.Command{Name: "explain",
			Arguments: "[-c FILE] -request 'METHOD URL' [-header 'NAME: VALUE']... [-token FILE|-] [-claims FILE]",
			Summary:   "print whether the gate would forward a request (status 0) or not (status 1), and why"}, (*command).explain},
		{cmdline.Command{Name: "snippet", Arguments: "PROXY [-c FILE]", Values: forwardauth.Proxies(),
			Summary: "print the configuration by which PROXY (" + alternatives(forwardauth.Proxies()) +
				") asks the gate whether requests may pass (forward-auth)"}, (*command).snippet},
		{cmdline.Command{Name: "import", Arguments: "SYSTEM [-o DIR] FILE... [-- FLAG...]", Values: importer.Systems(), Files: true,
			Summary: "make a configuration from the files of " + alternatives(importer.Systems()) + ", and print what differs; FLAGs are " +
				"those of oauth2-proxy"}, (*command).importFiles},
		{cmdline.Command{Name: "health", Arguments: "[-c FILE] [-live]",
			Summary: "print whether the running gate is ready (status 0) or not (status 1)"}, (*command).health},
		{cmdline.Command{Name: "sessions list",
			Arguments: "[-c FILE] [-sub SUB] [-sid SID] [-client-id ID] [-route NAME] [-iss ISSUER] [-json]",
			Summary:   "print the sessions of the running gate: who, where, since when and when last used"}, (*command).listSessions},
		{cmdline.Command{Name: "sessions end",
			Arguments: "[-c FILE] -sub SUB|-sid SID [-client-id ID] [-iss ISSUER] or -client-id ID or -route NAME",
			Summary:   "end sessions of the running gate, and logins that are under way; print how many"}, (*command).endSessions},
		{cmdline.Command{Name: "demo", Arguments: "[-listen ADDRESS]",
			Summary: "run an OpenID Provider, an upstream and the gate in one process, to try in a browser"}, (*command).demo},
		{cmdline.Command{Name: "secret", Arguments: "[-hash]",
			Summary: "print a new client secret for the built-in authorization server and its hash; " +
				"-hash hashes the secret on standard input"}, (*command).secret},
		{cmdline.Command{Name: "schema",
			Summary: "print the JSON Schema of configuration files, for editors"}, (*command).schema},
		{cmdline.Command{Name: "completion", Arguments: "SHELL", Values: shells,
			Summary: "print the completion of command lines for SHELL (" + alternatives(shells) + ")"}, (*command).completion},
		{cmdline.Command{Name: "man", Summary: "print the man page"}, (*command).man},
		{cmdline.Command{Name: "version", Summary: "print the version, the commit and the Go version"}, (*command).version},
	}
}

// program returns the commands with their flags.
func program() *cmdline.Program {
	p := &cmdline.Program{
		Name:    "sallyport",
		Summary: "OpenID Connect reverse proxy",
		Notes: []string{
			"FILE is the configuration file; - is standard input. Without -c the configuration comes from environment variables: " +
				"SALLYPORT_UPSTREAM, SALLYPORT_ISSUER, SALLYPORT_CLIENT_ID, SALLYPORT_CLIENT_SECRET or " +
				"SALLYPORT_CLIENT_SECRET_FILE, and others.",
			"sallyport COMMAND -h lists a command's flags.",
		},
	}
	for _, a := range actions() {
		c := &command{flags: flag.NewFlagSet(a.Name, flag.ContinueOnError), stdout: io.Discard, stderr: io.Discard}
		a.begin(c)
		a.Flags = cmdline.Flags(c.flags)
		p.Commands = append(p.Commands, a.Command)
	}
	return p
}
