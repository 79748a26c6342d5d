package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// A round is what was measured of one cell in one round, the two taking turns.
type round struct{ bare, proxy sample }

func (r round) ratio() float64 { return r.proxy.perRequest() / r.bare.perRequest() }

// A contest is a cell with the two loads that it compares. Unless the cell says otherwise, the bare proxy gets the same plain request in every cell, so that
// all ratios have one measure: what carrying a credential costs is part of the cell.
type contest struct {
	cell
	sides  [2]side // what the cell is compared with, and the cell's own
	rounds []round
}

// pass measures cells in interleaved rounds, prints the table and returns those whose median is over their goal.
func (r *rig) pass(ctx context.Context, o *options, selected []cell, out io.Writer) (missed []cell, err error) {
	var contests []*contest
	for _, c := range selected {
		proxy := c.proxy(r)
		requests, err := c.requests(r, proxy)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		base, plain := r.bare, [][]byte{get(r.bare, "/")}
		if c.over != nil {
			base = proxy
			if plain, err = c.over(r, proxy); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
		compared := &contest{cell: c, sides: [2]side{
			{load{base.address, plain, passed}, base},
			{load{proxy.address, requests, c.want}, proxy},
		}}
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

// A side is one of the two that a contest compares.
type side struct {
	load
	process *process
}

// turns are how many times the two sides of a contest take turns in a round: what else happens on the machine, and the
// heat and clock of its cores, then weighs on both alike.
const turns = 10

const warmUp = 20 * time.Millisecond // of each turn

// measure measures one round. Who goes first changes from turn to turn.
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
		return round{}, fmt.Errorf("no answers in %s", lasting)
	}
	return round{sums[0], sums[1]}, nil
}

// median is that of the rounds' ratios.
func (c *contest) median() float64 { return median(c.each(round.ratio)) }

func (c *contest) each(f func(round) float64) []float64 {
	var all []float64
	for _, r := range c.rounds {
		all = append(all, f(r))
	}
	return all
}

// median of an even number is the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
