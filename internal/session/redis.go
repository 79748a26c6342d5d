package session

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"
)

// redisStore keeps sealed records in one Redis server. Beside the bytes the decoded session is kept in memory: a request
// costs one GET, and equal bytes are neither opened nor parsed.
type redisStore struct {
	client  *redis.Client
	prefix  string
	keyring *Keyring
	now     func() time.Time
	decoded *otter.Cache[ID, *decoded]
	life    time.Duration // the longest that a session can live
}

// decoded is what a record was read as.
type decoded struct {
	session *Session
	touched atomic.Int64 // Unix nanoseconds: when the store was last told that it is in use
}

// decodedBytes bounds the decoded sessions, counted as twice their records.
const decodedBytes = 128 << 20

func newRedisStore(c Config) (*redisStore, error) {
	s := c.Redis
	options := &redis.Options{
		Network: "tcp", Addr: net.JoinHostPort(s.Host, strconv.Itoa(s.Port)), DB: s.Database, Username: s.Username, Password: string(s.Password),
		DialTimeout: s.ConnectTimeout, ReadTimeout: s.ReadTimeout, WriteTimeout: s.SendTimeout,
		ContextTimeoutEnabled: true, PoolSize: s.KeepalivePoolSize, PoolTimeout: s.ConnectTimeout, Protocol: 2, DisableIdentity: true,
		DialerRetries: 1,
		MaxRetries:    1, MinRetryBackoff: 5 * time.Millisecond, MaxRetryBackoff: 50 * time.Millisecond,
	}
	quiet()
	if s.Socket != "" {
		options.Network, options.Addr = "unix", s.Socket
	}
	if s.SSL {
		c, err := s.tls()
		if err != nil {
			return nil, err
		}
		options.TLSConfig = c
	}
	return &redisStore{
		client: redis.NewClient(options), prefix: s.Prefix, keyring: c.Keyring, now: c.Now, life: cmp.Or(c.AbsoluteTimeout, maxLife),
		decoded: otter.Must(&otter.Options[ID, *decoded]{
			MaximumWeight: decodedBytes,
			Weigher:       func(_ ID, d *decoded) uint32 { return uint32(2*len(d.session.stored)) + 1024 },
		}),
	}, nil
}

// quiet silences the client's own lines on standard error: what fails is returned, and logged once where it matters.
var quiet = sync.OnceFunc(func() { redis.SetLogger(silence{}) })

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func (s *RedisSettings) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName, InsecureSkipVerify: !s.SSLVerify} // #nosec G402: ssl_verify
	if c.ServerName == "" {
		c.ServerName = s.Host
	}
	if s.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("redis: ca_file: %w", err)
	}
	if c.RootCAs, err = x509.SystemCertPool(); err != nil {
		c.RootCAs = x509.NewCertPool()
	}
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("redis: ca_file: %s holds no PEM certificate", s.CAFile)
	}
	return c, nil
}

func (r *redisStore) load(ctx context.Context, id ID, touch func(*Session) time.Duration) (*Session, error) {
	name := id.name(r.prefix)
	known, _ := r.decoded.GetIfPresent(id)
	b, err := r.get(ctx, name, known, touch)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			r.decoded.Invalidate(id)
		}
		return nil, err
	}
	if known != nil && string(known.session.stored) == string(b) {
		return known.session, nil
	}
	s, err := r.keyring.open(id, name, b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	r.keep(id, s)
	if ttl := touchTTL(s, touch); ttl > 0 {
		err = r.client.PExpire(ctx, name, ttl).Err()
	}
	return s, away(err)
}

func touchTTL(s *Session, touch func(*Session) time.Duration) time.Duration {
	if touch == nil {
		return 0
	}
	return touch(s)
}

// get reads a record, and prolongs its life in the same command if it is known and that is due.
func (r *redisStore) get(ctx context.Context, name string, known *decoded, touch func(*Session) time.Duration) ([]byte, error) {
	var b []byte
	var err error
	if ttl := r.due(known, touch); ttl > 0 {
		b, err = r.client.GetEx(ctx, name, ttl).Bytes()
	} else {
		b, err = r.client.Get(ctx, name).Bytes()
	}
	if errors.Is(err, redis.Nil) {
		return nil, ErrNotFound
	}
	return b, away(err)
}

// due returns how long a known session is to live from now on, or zero if the store was told lately.
func (r *redisStore) due(known *decoded, touch func(*Session) time.Duration) time.Duration {
	if known == nil || touch == nil {
		return 0
	}
	now, last := r.now().UnixNano(), known.touched.Load()
	if time.Duration(now-last) < touchEvery || !known.touched.CompareAndSwap(last, now) {
		return 0
	}
	return touch(known.session)
}

func (r *redisStore) keep(id ID, s *Session) {
	d := &decoded{session: s}
	d.touched.Store(r.now().UnixNano())
	r.decoded.Set(id, d)
}

// away marks every error of the client as ErrUnavailable: what Redis answers otherwise is no error here.
func away(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// indexLifetime is how long an index outlives its last session.
const indexLifetime = time.Hour

// save writes the record and its index in one transaction.
func (r *redisStore) save(ctx context.Context, id ID, s *Session, ttl time.Duration) error {
	name := id.name(r.prefix)
	b, err := r.keyring.seal(id, name, s)
	if err != nil {
		return err
	}
	_, err = r.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, name, b, ttl)
		r.writeIndex(ctx, p, name, s)
		return nil
	})
	return away(err)
}

// writeIndex lists a record where its session can be found without the ID. An entry's score is when the session ends at
// the latest; entries past it go.
func (r *redisStore) writeIndex(ctx context.Context, p redis.Pipeliner, name string, s *Session) {
	now := r.now().Unix()
	s.indexed(func(kind, issuer, value string) {
		index := r.keyring.indexNames(r.prefix, kind, issuer, value)[0]
		p.ZRemRangeByScore(ctx, index, "-inf", strconv.FormatInt(now, 10))
		p.ZAdd(ctx, index, redis.Z{Score: float64(now) + r.life.Seconds(), Member: name})
		p.Expire(ctx, index, r.life+indexLifetime)
	})
}

// maxLife stands for an absolute timeout that is off. An index entry whose record is gone is harmless.
const maxLife = 400 * 24 * time.Hour

// swapScript replaces a record if it is still the one that was read. KEYS: record. ARGV: old, next, ttl in ms (0: none).
var swapScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`)

func (r *redisStore) swap(ctx context.Context, id ID, old, next *Session, ttl time.Duration) error {
	name := id.name(r.prefix)
	b, err := r.keyring.seal(id, name, next)
	if err != nil {
		return err
	}
	swapped, err := swapScript.Run(ctx, r.client, []string{name}, old.stored, b, ttl.Milliseconds()).Int()
	switch {
	case err != nil:
		return away(err)
	case swapped == 0:
		return r.settled(ctx, name, b)
	}
	return nil
}

// settled tells a swap that somebody else prevented from one that worked and whose answer was lost: then the record is ours.
func (r *redisStore) settled(ctx context.Context, name string, ours []byte) error {
	b, err := r.client.Get(ctx, name).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return errChanged
	case err != nil:
		return away(err)
	case string(b) != string(ours):
		return errChanged
	}
	return nil
}

func (r *redisStore) delete(ctx context.Context, id ID, s *Session) error {
	name := id.name(r.prefix)
	r.decoded.Invalidate(id)
	_, err := r.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, name)
		s.indexed(func(kind, issuer, value string) {
			for _, index := range r.keyring.indexNames(r.prefix, kind, issuer, value) {
				p.ZRem(ctx, index, name)
			}
		})
		return nil
	})
	return away(err)
}

func (r *redisStore) find(ctx context.Context, kind, issuer, value string) ([]ref, error) {
	var refs []ref
	for _, index := range r.keyring.indexNames(r.prefix, kind, issuer, value) {
		names, err := r.client.ZRange(ctx, index, 0, -1).Result()
		if err != nil {
			return nil, away(err)
		}
		for _, n := range names {
			refs = append(refs, ref(n))
		}
	}
	return refs, nil
}

func (r *redisStore) remove(ctx context.Context, refs []ref) error {
	names := make([]string, len(refs))
	for i, n := range refs {
		names[i] = string(n)
	}
	return away(r.client.Del(ctx, names...).Err())
}

func (r *redisStore) ping(ctx context.Context) error { return away(r.client.Ping(ctx).Err()) }
func (r *redisStore) close() error                   { return r.client.Close() }
