package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	patience      = 2 * time.Second // how long a command is tried again while parts of Redis change
	shortestPause = 5 * time.Millisecond
	longestPause  = 100 * time.Millisecond
)

// errUnknownMaster means that the Sentinels don't know the name of the master.
var errUnknownMaster = errors.New("no Sentinel knows the master")

// inAgain is the key of a context in which a command is tried again already.
type inAgain struct{}

// again calls f until it returns nil or an error that isn't of a part that changes, until end, or until ctx is done.
func (c *Client) again(ctx context.Context, end time.Time, f func(context.Context) error) error {
	inner := context.WithValue(ctx, inAgain{}, true)
	for wait := shortestPause; ; wait = min(2*wait, longestPause) {
		err := f(inner)
		if err == nil || !changing(err) {
			return err
		}
		if c.cluster != nil {
			c.cluster.ReloadState(inner) // in the background; a master that has failed doesn't say which node replaces it
		}
		if !pause(ctx, end, wait) {
			return err
		}
	}
}

// pause waits. It reports false at once if it would end after end, and as soon as ctx is done.
func pause(ctx context.Context, end time.Time, d time.Duration) bool {
	if ctx.Err() != nil || time.Now().Add(d).After(end) {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// passing are the first words of Redis's errors that pass while a replica becomes a master, a slot moves, or a server starts.
var passing = strings.Fields("MOVED ASK TRYAGAIN READONLY LOADING CLUSTERDOWN MASTERDOWN NOREPLICAS UNBLOCKED")

// changing reports whether an error is of a part of Redis that changes or can't be reached, so that the command may succeed soon.
func changing(err error) bool {
	var answer goredis.Error
	if errors.As(err, &answer) {
		word, _, _ := strings.Cut(answer.Error(), " ")
		return slices.Contains(passing, word) || strings.Contains(answer.Error(), "-READONLY ") // of a script in Redis 6
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, goredis.ErrClosed)
}

// sentinels is the hook of a client that asks Sentinels for its master.
type sentinels struct{}

// DialHook makes sure that a Sentinel's "nil", which means that it doesn't know the master, is never taken for the answer to a command.
func (sentinels) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		if errors.Is(err, goredis.Nil) {
			err = fmt.Errorf("%w: %v", errUnknownMaster, err)
		}
		return conn, err
	}
}

func (sentinels) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook { return next }
func (sentinels) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// patient is the hook of a client whose parts change: it tries commands and pipelines again.
type patient struct{ *Client }

func (patient) DialHook(next goredis.DialHook) goredis.DialHook { return next }

// ProcessHook tries a command again. A command whose answer is written to memory of the caller isn't repeated.
func (p patient) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if cmd.NoRetry() {
			return next(ctx, cmd)
		}
		return p.outermost(ctx, func(ctx context.Context) error { return next(ctx, cmd) })
	}
}

// ProcessPipelineHook tries a pipeline again.
func (p patient) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		return p.outermost(ctx, func(ctx context.Context) error { return next(ctx, cmds) })
	}
}

// outermost calls f again and again, unless a caller does that already. The commands that set up a connection pass this hook, too.
func (p patient) outermost(ctx context.Context, f func(context.Context) error) error {
	if ctx.Value(inAgain{}) != nil {
		return f(ctx)
	}
	return p.again(ctx, time.Now().Add(patience), f)
}

// asking is the hook of a connection to a node to which a slot is moving. The node accepts commands for the slot only after ASKING, which
// holds for one command.
type asking struct{}

func (asking) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (asking) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if err := next(ctx, goredis.NewCmd(ctx, "asking")); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

func (asking) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		all := make([]goredis.Cmder, 0, 2*len(cmds))
		for _, cmd := range cmds {
			all = append(all, goredis.NewCmd(ctx, "asking"), cmd)
		}
		return next(ctx, all)
	}
}
