// Command sallyport is an OIDC-aware reverse proxy: it proves who each request is for, decides whether it may pass, and
// forwards it with the right tokens.
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
  sallyport run [-c FILE]      serve what FILE says, until SIGTERM; SIGHUP reads it again
  sallyport check [-c FILE]    read FILE and say everything that is wrong with it; -online asks issuers, Redis and upstreams as well
  sallyport explain [-c FILE] -request 'METHOD URL' [-header 'NAME: VALUE']... [-token FILE|-] [-claims FILE]
                               decide a request as FILE says, and print why it passes (status 0) or not (status 1)
  sallyport health [-c FILE]   ask the gate that runs here whether it is ready (status 0) or not (status 1)
  sallyport demo               a provider, an upstream and the gate in one process, to click through
  sallyport secret             a new client secret of the built-in authorization server, and its hash; -hash reads one from standard input
  sallyport schema             the JSON Schema of configuration files, for editors
  sallyport version            version, commit and Go

FILE is the configuration, - is standard input. Without -c it is read from environment variables: SALLYPORT_UPSTREAM,
SALLYPORT_ISSUER, SALLYPORT_CLIENT_ID, SALLYPORT_CLIENT_SECRET or SALLYPORT_CLIENT_SECRET_FILE, and a few more.
sallyport COMMAND -h lists a command's flags.
`

// Set by the linker: -X main.version=... -X main.commit=...
var (
	version = "devel"
	commit  = ""
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process. The status is 0 for success, 1 for what failed, 2 for a wrong command line.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	c := &command{name: args[0], args: args[1:], stdin: stdin, stdout: stdout, stderr: stderr}
	c.flags = flag.NewFlagSet(c.name, flag.ContinueOnError)
	commands := map[string]func(context.Context) error{
		"run": c.run, "check": c.check, "explain": c.explain, "health": c.health, "demo": c.demo, "secret": c.secret,
		"schema": c.schema, "version": c.version,
	}
	serve := commands[strings.TrimLeft(c.name, "-")]
	switch {
	case slices.Contains([]string{"help", "-h", "-help", "--help"}, c.name):
		fmt.Fprint(stdout, usage)
		return 0
	case serve == nil:
		fmt.Fprintf(stderr, "sallyport: there is no command %q\n%s", c.name, usage)
		return 2
	}
	switch err := serve(ctx); {
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

// hangups turns SIGHUP into reloads. Several that come at once are one.
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

func versionLine() string {
	if info, ok := debug.ReadBuildInfo(); ok && commit == "" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = s.Value
			}
		}
	}
	if commit == "" {
		commit = "unknown"
	}
	return fmt.Sprintf("sallyport %s commit %s %s %s/%s", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
