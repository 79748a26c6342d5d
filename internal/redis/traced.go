package redis

import (
	"context"
	"errors"
	"net"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/telemetry"
)

// traced gives the commands of a request that has a trace a span each. A span has the name of its command, and none of its arguments.
type traced struct{}

func (traced) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return next(ctx, network, address)
	}
}

func (traced) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		request := telemetry.SpanFrom(ctx)
		if request == nil {
			return next(ctx, cmd)
		}
		return inSpan(request.StartQuery("redis "+cmd.Name()), func(ctx context.Context) error { return next(ctx, cmd) })
	}
}

func (traced) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, all []goredis.Cmder) error {
		request := telemetry.SpanFrom(ctx)
		if request == nil {
			return next(ctx, all)
		}
		return inSpan(request.StartQuery("redis pipeline"), func(ctx context.Context) error { return next(ctx, all) })
	}
}

// inSpan runs commands in a span. A missing key is no failure, nor is a script that Redis doesn't have yet: it is sent then.
func inSpan(s *telemetry.Span, run func(context.Context) error) error {
	defer s.End()
	err := run(s.Context())
	if err != nil && !errors.Is(err, goredis.Nil) && !goredis.HasErrorPrefix(err, "NOSCRIPT") {
		s.Fail("redis")
	}
	return err
}
