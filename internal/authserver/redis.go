package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/keyring"
	"sallyport/internal/redis"
)

// A redisStore stores sealed records in Redis 6.2 or later. Redis sees only tags, digests and ciphertext:
//
//	o:a:{<tag>}<digest>  an access token     o:f:{<tag>}<digest>  a family
//	o:c:{<tag>}<digest>  a code              o:m:{<tag>}<digest>  the access tokens of a family, ordered by expiry
//	o:l:<digest>         a login that serves a grant
//
// All keys of a family have its tag, so that a Cluster stores them in one slot. An issued token whose record isn't acknowledged by the
// replicas is still issued; a revocation must be acknowledged.
type redisStore struct {
	client  *redis.Client
	prefix  string
	keyring *keyring.Keyring
	now     func() time.Time
	log     *slog.Logger
}

func (r *redisStore) name(h handle) string {
	if h.kind == codeHandle {
		return r.prefix + "o:c:{" + h.tag + "}" + h.digest().String()
	}
	return r.prefix + "o:a:{" + h.tag + "}" + h.digest().String()
}

func (r *redisStore) familyName(id string) string {
	return r.prefix + "o:f:{" + tagOf(id) + "}" + familyDigest(id).String()
}

func (r *redisStore) membersName(id string) string {
	return r.prefix + "o:m:{" + tagOf(id) + "}" + familyDigest(id).String()
}

// storeError returns an error of the Redis client as one of the store's errors.
func storeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, goredis.Nil):
		return ErrUnknown
	default:
		return fmt.Errorf("%w: redis: %w", ErrUnavailable, err)
	}
}

func (r *redisStore) ping(ctx context.Context) error { return storeError(r.client.Ping(ctx).Err()) }

func (r *redisStore) add(ctx context.Context, h handle, rec *record) error {
	name := r.name(h)
	raw, err := rec.seal(r.keyring, name, h.text)
	if err != nil {
		return err
	}
	_, err = r.client.Write(ctx, name, func(ctx context.Context, c goredis.Cmdable) error {
		return c.Set(ctx, name, raw, r.ttl(rec.expiry())).Err()
	})
	return storeError(err)
}

// ttl returns the time until a record expires, as a TTL of Redis.
func (r *redisStore) ttl(end time.Time) time.Duration {
	return max(end.Sub(r.now()), time.Millisecond)
}

func (r *redisStore) load(ctx context.Context, h handle) (*record, error) {
	return r.open(ctx, r.name(h), h.text)
}

func (r *redisStore) family(ctx context.Context, id string) (*record, error) {
	return r.open(ctx, r.familyName(id), id)
}

func (r *redisStore) open(ctx context.Context, name, salt string) (*record, error) {
	raw, err := r.client.Get(ctx, name).Result()
	if err != nil {
		return nil, storeError(err)
	}
	rec, err := openRecord(r.keyring, name, salt, raw)
	if err != nil { // another secret sealed it, or it was changed
		r.log.Warn("a token in redis is not used", "error", err)
		return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return rec, nil
}

func (r *redisStore) redeem(ctx context.Context, code handle, was *record, next issuance) error {
	return r.spend(ctx, r.name(code), was, next)
}

func (r *redisStore) rotate(ctx context.Context, was *record, next issuance) error {
	return r.spend(ctx, r.familyName(was.Family), was, next)
}

// spend runs spendScript for the record named spent.
func (r *redisStore) spend(ctx context.Context, spent string, was *record, next issuance) error {
	id := next.family.Family
	family, token := r.familyName(id), r.name(next.token)
	sealedFamily := was.raw
	if next.family != was {
		var err error
		if sealedFamily, err = next.family.seal(r.keyring, family, id); err != nil {
			return err
		}
	}
	sealedToken, err := next.access.seal(r.keyring, token, next.token.text)
	if err != nil {
		return err
	}
	now := r.now()
	var done bool
	_, err = r.client.Write(ctx, family, func(ctx context.Context, c goredis.Cmdable) (err error) {
		done, err = spendScript.Run(ctx, c, []string{spent, family, token, r.membersName(id)},
			was.raw, sealedFamily, milliseconds(r.ttl(next.until())), sealedToken, milliseconds(r.ttl(next.access.expiry())),
			strconv.FormatInt(now.UnixMicro(), 10), strconv.FormatInt(now.Add(next.access.lifetime()).UnixMicro(), 10), maxMembers).Bool()
		return err
	})
	switch {
	case err != nil:
		return storeError(err)
	case !done:
		return errChanged
	}
	return nil
}

func (r *redisStore) replace(ctx context.Context, was, next *record) error {
	name := r.familyName(was.Family)
	sealed, err := next.seal(r.keyring, name, was.Family)
	if err != nil {
		return err
	}
	var done bool
	_, err = r.client.Write(ctx, name, func(ctx context.Context, c goredis.Cmdable) (err error) {
		done, err = replaceScript.Run(ctx, c, []string{name}, was.raw, sealed).Bool()
		return err
	})
	switch {
	case err != nil:
		return storeError(err)
	case !done:
		return errChanged
	}
	next.raw = sealed
	return nil
}

func (r *redisStore) loginName(login digest) string { return r.prefix + "o:l:" + login.String() }

func (r *redisStore) use(ctx context.Context, login digest, until time.Time) (first bool, err error) {
	name, own := r.loginName(login), randomText(familyLength)
	err = r.client.MustWrite(ctx, name, func(ctx context.Context, c goredis.Cmdable) error {
		if err := c.SetNX(ctx, name, own, r.ttl(until)).Err(); err != nil {
			return err
		}
		holder, err := c.Get(ctx, name).Result() // a repeated SETNX may have met its own value
		first = holder == own
		return err
	})
	return first, storeError(err)
}

func (r *redisStore) used(ctx context.Context, login digest) (bool, error) {
	err := storeError(r.client.Get(ctx, r.loginName(login)).Err())
	if errors.Is(err, ErrUnknown) {
		return false, nil
	}
	return err == nil, err
}

func (r *redisStore) drop(ctx context.Context, h handle) error {
	name := r.name(h)
	return storeError(r.client.MustWrite(ctx, name, func(ctx context.Context, c goredis.Cmdable) error { return c.Del(ctx, name).Err() }))
}

func (r *redisStore) end(ctx context.Context, family string) error {
	keys := []string{r.familyName(family), r.membersName(family)}
	return storeError(r.client.MustWrite(ctx, keys[0], func(ctx context.Context, c goredis.Cmdable) error {
		return endScript.Run(ctx, c, keys).Err()
	}))
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
