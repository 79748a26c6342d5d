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

// A redisStore stores sealed records in one Redis server, 6.2 or later. Redis sees only digests and ciphertext:
//
//	o:a:<digest>  an access token     o:f:<digest>  a family
//	o:c:<digest>  a code              o:m:<digest>  the access tokens of a family, ordered by expiry
type redisStore struct {
	client  *redis.Client
	prefix  string
	keyring *keyring.Keyring
	now     func() time.Time
	log     *slog.Logger
}

func (r *redisStore) name(h handle) string {
	if h.kind == codeHandle {
		return r.prefix + "o:c:" + h.digest().String()
	}
	return r.prefix + "o:a:" + h.digest().String()
}

func (r *redisStore) familyName(id string) string {
	return r.prefix + "o:f:" + familyDigest(id).String()
}

func (r *redisStore) membersName(id string) string {
	return r.prefix + "o:m:" + familyDigest(id).String()
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
	return storeError(r.client.Set(ctx, name, raw, r.ttl(rec.expiry())).Err())
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
	sealedFamily, err := next.family.seal(r.keyring, family, id)
	if err != nil {
		return err
	}
	sealedToken, err := next.access.seal(r.keyring, token, next.token.text)
	if err != nil {
		return err
	}
	now := r.now()
	done, err := spendScript.Run(ctx, r.client, []string{spent, family, token, r.membersName(id)},
		was.raw, sealedFamily, milliseconds(r.ttl(next.until())), sealedToken, milliseconds(r.ttl(next.access.expiry())),
		strconv.FormatInt(now.UnixMicro(), 10), strconv.FormatInt(now.Add(next.access.lifetime()).UnixMicro(), 10), maxMembers).Bool()
	switch {
	case err != nil:
		return storeError(err)
	case !done:
		return errChanged
	}
	return nil
}

func (r *redisStore) drop(ctx context.Context, h handle) error {
	return storeError(r.client.Del(ctx, r.name(h)).Err())
}

func (r *redisStore) end(ctx context.Context, family string) error {
	return storeError(endScript.Run(ctx, r.client, []string{r.familyName(family), r.membersName(family)}).Err())
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
