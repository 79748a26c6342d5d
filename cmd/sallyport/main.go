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
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs a command line and returns the exit status: 0 for success, 1 for a failure, 2 for an invalid command line.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 0:
		program().WriteUsage(stderr)
		return 2
	case slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]):
		program().WriteUsage(stdout)
		return 0
	}
	args[0] = strings.TrimLeft(args[0], "-")
	c := &command{stdin: stdin, stdout: stdout, stderr: stderr}
	switch err := c.dispatch(ctx, args); {
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
