// Command bench measures the CPU time of requests through the gate, relative to that of a plain request through a bare
// httputil.ReverseProxy in the same round. It needs Linux, Go, redis-server and an otherwise idle machine.
//
//	go run ./internal/bench [-cell NAMES] [-rounds N] [-seconds S]
//
// The proxy's process has one core, GOMAXPROCS=1 and 50 busy keep-alive connections. The upstream, Redis, the issuer and the
// clients share another core. The exit status is 1 if the median of a cell exceeds its goal twice. Without -cell, Go benchmarks
// that count allocations run first.
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
	"syscall"
	"time"
)

// bareRole is the first argument of the process that serves the bare proxy, before its address and its upstream.
const bareRole = "bare-proxy"

func main() {
	if len(os.Args) == 4 && os.Args[1] == bareRole {
		fmt.Fprintln(os.Stderr, serveBare(os.Args[2], os.Args[3]))
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	cells       []cell
	rounds      int
	lasting     time.Duration // of one measurement
	allocations bool
}

// readOptions parses the command line.
func readOptions(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	names := flags.String("cell", "", "measure only the cells with these `NAMES`, separated by commas")
	flags.IntVar(&o.rounds, "rounds", 7, "number of rounds")
	seconds := flags.Float64("seconds", 1.5, "seconds to measure each of the two proxies of a cell in a round")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.lasting = time.Duration(*seconds * float64(time.Second))
	if o.rounds < 1 || o.lasting <= 0 || flags.NArg() > 0 {
		return o, errors.New("expected -rounds and -seconds above zero and no other arguments")
	}
	o.allocations = *names == ""
	o.cells, err = selectCells(*names)
	return o, err
}

// limit returns the maximum duration of a run: that of measuring each cell twice, and 5 minutes for the rest.
func (o *options) limit() time.Duration {
	return 2*time.Duration(o.rounds*len(o.cells))*2*(o.lasting+2*turns*warmUp) + 5*time.Minute
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := readOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.limit())
	defer cancel()
	if o.allocations {
		if err := allocations(ctx, out); err != nil {
			return err
		}
	}
	return o.measureCells(ctx, out)
}

// measureCells measures all cells, and those that exceed their goal a second time.
func (o *options) measureCells(ctx context.Context, out io.Writer) error {
	rig, err := newRig(ctx, o.cells)
	defer rig.close()
	if err != nil {
		return err
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	fmt.Fprintf(out, "CPU time per request over the bare proxy's: %d rounds of %s\n\n", o.rounds, o.lasting)
	missed, err := rig.pass(ctx, o, o.cells, out)
	if err != nil || len(missed) == 0 {
		return err
	}
	fmt.Fprintf(out, "\nmeasuring again the cells that exceed their goal\n\n")
	if missed, err = rig.pass(ctx, o, missed, out); err != nil || len(missed) == 0 {
		return err
	}
	return fmt.Errorf("over the goal twice: %s", names(missed))
}
