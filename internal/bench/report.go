package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// report prints a line for each cell. All numbers are medians of the rounds, except the range of the ratio.
func report(out io.Writer, contests []*contest) {
	fmt.Fprintf(out, "%-14s %-21s %5s %7s %13s %8s %9s %10s %11s\n",
		"cell", "", "goal", "median", "min..max", "base us", "proxy us", "base reqs", "proxy reqs")
	for _, c := range contests {
		ratios := c.each(round.ratio)
		fmt.Fprintf(out, "%-14s %-21s %5s %7.3f %13s %8.1f %9.1f %10.0f %11.0f  %s\n",
			c.name, c.about, c.goalText(), c.median(), fmt.Sprintf("%.3f..%.3f", slices.Min(ratios), slices.Max(ratios)),
			median(c.each(func(r round) float64 { return r.bare.perRequest() })),
			median(c.each(func(r round) float64 { return r.proxy.perRequest() })),
			median(c.each(func(r round) float64 { return float64(r.bare.requests) })),
			median(c.each(func(r round) float64 { return float64(r.proxy.requests) })),
			c.verdict())
	}
}

func (c *contest) goalText() string {
	if c.goal == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", c.goal)
}

func (c *contest) verdict() string {
	switch {
	case c.goal == 0:
		return ""
	case c.median() > c.goal:
		return "OVER"
	}
	return "ok"
}

// allocationsOf is the package whose benchmarks count allocations, which can't be counted from outside of a process.
const allocationsOf = "sallyport/internal/app"

// allocations runs the package's Go benchmarks and prints their lines.
func allocations(ctx context.Context, out io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", ".", "-benchmem", allocationsOf)
	printed, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, printed)
	}
	fmt.Fprintf(out, "allocations per request: %s\n\n", strings.Join(cmd.Args, " "))
	found := false
	for lines := bufio.NewScanner(bytes.NewReader(printed)); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "Benchmark") {
			found = true
			fmt.Fprintln(out, lines.Text())
		}
	}
	if !found {
		fmt.Fprintln(out, "the package has no benchmarks")
	}
	fmt.Fprintln(out)
	return nil
}
