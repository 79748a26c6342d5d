package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"
)

// A Client is a client of Redis: of one server. It is safe for concurrent use.
type Client struct {
	goredis.UniversalClient
}

// Write calls write with a connection to the master that holds key; all keys that write changes are in the slot of key. It reports
// whether the change is acknowledged. The error is that of write.
func (c *Client) Write(ctx context.Context, key string, write func(context.Context, goredis.Cmdable) error) (acknowledged bool, err error) {
	err = write(ctx, c.UniversalClient)
	return err == nil, err
}

// MustWrite calls write as Write does, and returns an error if the change isn't acknowledged in time.
func (c *Client) MustWrite(ctx context.Context, key string, write func(context.Context, goredis.Cmdable) error) error {
	_, err := c.Write(ctx, key, write)
	return err
}

// EachMaster calls f with a client of each master, in the order of their addresses, until f returns an error.
func (c *Client) EachMaster(ctx context.Context, f func(context.Context, *goredis.Client) error) error {
	return f(ctx, c.UniversalClient.(*goredis.Client))
}
