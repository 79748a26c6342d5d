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

// A process is a child process that ends with the bench.
type process struct {
	name    string
	address string // host and port of its listener
	command []string
	env     []string // in addition to the bench's environment

	cmd    *exec.Cmd
	output tail
	ended  chan struct{} // closed at the end of the process
}

// start starts the process on a core. It is killed when ctx ends.
func (p *process) start(ctx context.Context, core int) error {
	p.cmd = exec.CommandContext(ctx, p.command[0], p.command[1:]...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := startOn(core, p.cmd); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		p.cmd.Wait() // the error is ignored: failed adds the output
	}()
	return nil
}

// ready waits until check returns nil.
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

// failed adds the name and the last output of the process to an error.
func (p *process) failed(err error) error {
	return fmt.Errorf("%s: %w\n%s", p.name, err, p.output.String())
}

func (p *process) cpuTime() (time.Duration, error) { return cpuTime(p.cmd.Process.Pid) }

// stop ends the process and waits for it.
func (p *process) stop() {
	p.cmd.Process.Kill() // no process has data to save
	<-p.ended
}

// listening checks that a server accepts connections at an address.
func listening(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// freeAddress returns a loopback address with a port that is currently free.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// A tail is a writer that stores the last 4 KiB.
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
