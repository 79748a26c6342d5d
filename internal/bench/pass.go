package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// A round is the result of measuring a cell in one round.
type round struct{ bare, proxy sample }

func (r round) ratio() float64 { return r.proxy.perRequest() / r.bare.perRequest() }

// A contest is a cell with the two loads that it compares. Unless the cell has over, the first load is a plain request to the bare
// proxy. It is the same in all these cells, so that their ratios are comparable and include the cost of larger requests.
type contest struct {
	cell
	sides  [2]side // the reference and the cell's own load
	rounds []round
}

// pass measures cells in interleaved rounds, prints the table and returns the cells whose median exceeds their goal.
func (r *rig) pass(ctx context.Context, o *options, selected []cell, out io.Writer) (missed []cell, err error) {
	var contests []*contest
	for _, c := range selected {
		proxy := r.gate
		if c.bare {
			proxy = r.bare2
		}
		requests, err := c.requests(r, proxy)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		base, plain := r.bare, [][]byte{get(r.bare, "/")}
		if c.over != nil {
			base = proxy
			if c.uncount {
				base = r.uncounted
			}
			if plain, err = c.over(r, base); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
		compared := &contest{cell: c, sides: [2]side{
			{load{address: base.address, requests: plain, want: passed}, base},
			{load{address: proxy.address, requests: requests, want: cmp.Or(c.want, passed)}, proxy},
		}}
		if c.fresh != nil {
			compared.sides[1].fresh = c.fresh(r, proxy)
		}
		for _, s := range compared.sides {
			if err := s.once(ctx); err != nil {
				return nil, s.process.failed(err)
			}
		}
		contests = append(contests, compared)
	}
	for n := range o.rounds {
		for _, c := range contests {
			measured, err := c.measure(ctx, o.lasting)
			if err != nil {
				return nil, fmt.Errorf("%s: round %d: %w", c.name, n+1, err)
			}
			c.rounds = append(c.rounds, measured)
		}
	}
	report(out, contests)
	for _, c := range contests {
		if c.goal > 0 && c.median() > c.goal {
			missed = append(missed, c.cell)
		}
	}
	return missed, nil
}

// A side is one of the two loads of a contest with the process that serves it.
type side struct {
	load
	process *process
}

// turns is the number of alternations between the two sides of a contest in a round, so that other load on the machine and the
// clock rate of its cores affect both sides equally.
const turns = 10

const warmUp = 20 * time.Millisecond // of each turn

// measure measures one round. The order of the two sides alternates.
func (c *contest) measure(ctx context.Context, lasting time.Duration) (round, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*lasting+2*turns*warmUp+startTimeout)
	defer cancel()
	var open [2]clients
	var sums [2]sample
	for i := range c.sides {
		var err error
		if open[i], err = c.sides[i].open(ctx); err != nil {
			return round{}, c.sides[i].process.failed(err)
		}
		defer open[i].close()
	}
	for turn := range 2 * turns {
		i := (turn + turn/2) % 2
		p := c.sides[i].process
		s, err := open[i].measure(ctx, warmUp, lasting/turns, p.cpuTime)
		if err != nil {
			return round{}, p.failed(err)
		}
		sums[i] = sums[i].plus(s)
	}
	if sums[0].requests == 0 || sums[1].requests == 0 {
		return round{}, fmt.Errorf("no responses in %s", lasting)
	}
	return round{sums[0], sums[1]}, nil
}

// median returns the median of the rounds' ratios.
func (c *contest) median() float64 { return median(c.each(round.ratio)) }

// each returns f of all rounds.
func (c *contest) each(f func(round) float64) []float64 {
	var all []float64
	for _, r := range c.rounds {
		all = append(all, f(r))
	}
	return all
}

// median returns the median of values; for an even number of values, the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
