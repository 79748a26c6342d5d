// Command sallyport is an OIDC-aware reverse proxy: it authenticates each request, applies the route's policy, and forwards the
// request with the right tokens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
)

const usage = `usage:
  sallyport run [-c FILE]      serve the routes of FILE until SIGTERM; SIGHUP reloads FILE
  sallyport check [-c FILE]    check FILE and print all errors in it; -online also tests issuers, Redis servers and upstreams
  sallyport explain [-c FILE] -request 'METHOD URL' [-header 'NAME: VALUE']... [-token FILE|-] [-claims FILE]
                               print whether the gate would forward a request (status 0) or not (status 1), and why
  sallyport snippet PROXY [-c FILE]
                               print the configuration by which PROXY (nginx, traefik, caddy, haproxy, envoy, envoy_grpc or
                               oauth2_proxy) asks the gate whether requests may pass (forward-auth)
  sallyport import SYSTEM [-o FOLDER] FILE... [-- FLAG...]
                               make a configuration from the files of kong, oauth2-proxy (or its flags) or mod_auth_openidc, and
                               print what differs
  sallyport health [-c FILE]   print whether the running gate is ready (status 0) or not (status 1)
  sallyport sessions list [-c FILE] [-sub SUB] [-sid SID] [-client-id ID] [-route NAME] [-iss ISSUER] [-json]
                               print the sessions of the running gate: who, where, since when and when last used
  sallyport sessions end [-c FILE] -sub SUB|-sid SID [-client-id ID] [-iss ISSUER] or -client-id ID or -route NAME
                               end sessions of the running gate, and logins that are under way; print how many
  sallyport demo               run an OpenID Provider, an upstream and the gate in one process, to try in a browser
  sallyport secret             print a new client secret for the built-in authorization server and its hash;
                               -hash hashes the secret on standard input
  sallyport schema             print the JSON Schema of configuration files, for editors
  sallyport version            print the version, the commit and the Go version

FILE is the configuration file; - is standard input. Without -c the configuration comes from environment variables:
SALLYPORT_UPSTREAM, SALLYPORT_ISSUER, SALLYPORT_CLIENT_ID, SALLYPORT_CLIENT_SECRET or SALLYPORT_CLIENT_SECRET_FILE, and others.
sallyport COMMAND -h lists a command's flags.
`

// The linker sets these: -X main.version=... -X main.commit=...
var (
	version = "devel"
	commit  = ""
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs a command line and returns the exit status: 0 for success, 1 for a failure, 2 for an invalid command line.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	c := &command{name: args[0], args: args[1:], stdin: stdin, stdout: stdout, stderr: stderr}
	c.flags = flag.NewFlagSet(c.name, flag.ContinueOnError)
	commands := map[string]func(context.Context) error{
		"run": c.run, "check": c.check, "explain": c.explain, "health": c.health, "sessions": c.sessions,
		"snippet": c.snippet, "import": c.importFiles, "demo": c.demo, "secret": c.secret,
		"schema": c.schema, "version": c.version,
	}
	execute := commands[strings.TrimLeft(c.name, "-")]
	switch {
	case slices.Contains([]string{"help", "-h", "-help", "--help"}, c.name):
		fmt.Fprint(stdout, usage)
		return 0
	case execute == nil:
		fmt.Fprintf(stderr, "sallyport: there is no command %q\n%s", c.name, usage)
		return 2
	}
	switch err := execute(ctx); {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, errRefused):
		return 1
	default:
		fmt.Fprintln(stderr, err)
		return 1
	}
}

// hangups returns a channel that receives a value for each SIGHUP until ctx ends. Signals that arrive before the receiver is
// ready count as one.
func hangups(ctx context.Context) <-chan struct{} {
	signals, reload := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-signals:
				select {
				case reload <- struct{}{}:
				default:
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return reload
}

// revision returns the commit: that of the linker, or of the Go toolchain.
func revision() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

// versionLine returns the output of sallyport version.
func versionLine() string {
	return fmt.Sprintf("sallyport %s commit %s %s %s/%s", version, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
