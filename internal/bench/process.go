package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"
)

const startTimeout = 20 * time.Second

// A process is one that the bench starts and that ends with it.
type process struct {
	name    string
	address string // where it answers
	command []string
	env     []string // besides ours

	cmd   *exec.Cmd
	said  tail
	ended chan struct{} // closed when it has
}

// start starts the process on a core. It is killed when ctx ends.
func (p *process) start(ctx context.Context, core int) error {
	p.cmd = exec.CommandContext(ctx, p.command[0], p.command[1:]...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	if err := startOn(core, p.cmd); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		p.cmd.Wait() // whatever ended it, what it said tells more
	}()
	return nil
}

// ready waits until check finds nothing wrong.
func (p *process) ready(ctx context.Context, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return p.failed(errors.New("ended before it was ready"))
		case <-ctx.Done():
			return p.failed(fmt.Errorf("not ready: %w", err))
		case <-tick.C:
		}
	}
}

// failed adds to an error what the process said last.
func (p *process) failed(err error) error {
	return fmt.Errorf("%s: %w\n%s", p.name, err, p.said.String())
}

func (p *process) cpuTime() (time.Duration, error) { return cpuTime(p.cmd.Process.Pid) }

// stop ends the process and waits for it.
func (p *process) stop() {
	p.cmd.Process.Kill() // it has nothing to lose
	<-p.ended
}

// listening checks that somebody takes connections at an address.
func listening(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// freeAddress is a loopback address with a port that nobody has at the moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// A tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(b []byte) (int, error) {
	const keep = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, b...)
	t.last = t.last[max(0, len(t.last)-keep):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.last))
}
