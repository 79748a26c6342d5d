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
	"syscall"

	"sallyport/internal/app"
)

const usage = `usage:
  sallyport run -c FILE     serve what FILE says, until SIGTERM; SIGHUP reads it again
  sallyport check -c FILE   read FILE and say everything that is wrong with it
  sallyport explain -c FILE -request 'METHOD URL' [-header 'NAME: VALUE']... [-token FILE|-] [-claims FILE]
                            decide a request as FILE says, and print why it passes (status 0) or not (status 1)
  sallyport demo            a provider, an upstream and the gate in one process, to click through
  sallyport secret          a new client secret of the built-in issuer, and its hash; -hash reads one from standard input
  sallyport version         version, commit and Go
`

// Set by the linker: -X main.version=... -X main.commit=...
var (
	version = "devel"
	commit  = ""
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process. The status is 0 for success, 1 for what failed, 2 for a wrong command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	var err error
	switch command, rest := args[0], args[1:]; command {
	case "run":
		err = withFile(command, rest, stderr, func(file string) error {
			return app.Run(ctx, app.Options{File: file, Reload: hangups(ctx), Log: stderr})
		})
	case "check":
		err = withFile(command, rest, stderr, func(file string) error { return app.Check(file, stdout) })
	case "explain":
		var passes bool
		if passes, err = explain(rest, os.Stdin, stdout, stderr); err == nil && !passes {
			return 1
		}
	case "demo":
		err = demo(ctx, rest, stdout, stderr)
	case "secret":
		err = secret(rest, stdout, stderr)
	case "version", "-version", "--version":
		fmt.Fprintln(stdout, versionLine())
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
	default:
		fmt.Fprintf(stderr, "sallyport: there is no command %q\n%s", command, usage)
		return 2
	}
	if err == errUsage {
		return 2
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func demo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:8000", "the gate's `ADDRESS`; port 0 takes a free one")
	if flags.Parse(args) != nil || flags.NArg() > 0 {
		return errUsage
	}
	return app.Demo(ctx, *listen, stdout, stderr)
}

func secret(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("secret", flag.ContinueOnError)
	flags.SetOutput(stderr)
	hash := flags.Bool("hash", false, "hash the secret on standard input")
	if flags.Parse(args) != nil || flags.NArg() > 0 {
		return errUsage
	}
	if *hash {
		return app.Secret(os.Stdin, stdout)
	}
	return app.Secret(nil, stdout)
}

func explain(args []string, stdin io.Reader, stdout, stderr io.Writer) (passes bool, err error) {
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o app.ExplainOptions
	flags.StringVar(&o.File, "c", "", "the configuration `FILE`")
	flags.StringVar(&o.Request, "request", "", "`METHOD URL` as a client sends it, such as 'GET https://app.example.com/admin'")
	flags.StringVar(&o.Token, "token", "", "a `FILE` with an access token; - is standard input")
	flags.StringVar(&o.Claims, "claims", "", "a `FILE` with the claims of an access token that counts as verified")
	flags.Func("header", "a header of the request, `NAME: VALUE`; may be repeated", func(line string) error {
		o.Headers = append(o.Headers, line)
		return nil
	})
	if flags.Parse(args) != nil {
		return false, errUsage
	}
	if o.File == "" || o.Request == "" || flags.NArg() > 0 || o.Token != "" && o.Claims != "" {
		fmt.Fprintln(stderr, "sallyport explain: expected -c FILE and -request 'METHOD URL', and at most one of -token and -claims")
		return false, errUsage
	}
	return app.Explain(o, stdin, stdout, stderr)
}

var errUsage = errors.New("usage")

// withFile reads -c FILE and calls f with it.
func withFile(command string, args []string, stderr io.Writer, f func(string) error) error {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("c", "", "the configuration `FILE`")
	if err := flags.Parse(args); err != nil {
		return errUsage
	}
	if *file == "" || flags.NArg() > 0 {
		fmt.Fprintf(stderr, "sallyport %s: expected -c FILE and nothing else\n", command)
		return errUsage
	}
	return f(*file)
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
