package golden

import (
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strconv"

	goredis "github.com/redis/go-redis/v9"
)

// A redisKey is a key of Redis with its value, in base64: a string, the fields of a hash, or the members of a sorted set with their scores.
type redisKey struct {
	String string            `json:"string,omitempty"`
	Hash   map[string]string `json:"hash,omitempty"`
	Sorted map[string]string `json:"sorted,omitempty"`
}

// PutRedis stores all keys of a database of Redis, without their times to live.
func (f *File) PutRedis(name string, client *goredis.Client) {
	f.t.Helper()
	ctx, all := f.t.Context(), map[string]redisKey{}
	for _, key := range client.Keys(ctx, "*").Val() {
		k := redisKey{}
		switch kind := client.Type(ctx, key).Val(); kind {
		case "string":
			k.String = encode(client.Get(ctx, key).Val())
		case "hash":
			k.Hash = map[string]string{}
			for field, value := range client.HGetAll(ctx, key).Val() {
				k.Hash[field] = encode(value)
			}
		case "zset":
			k.Sorted = map[string]string{}
			for _, z := range client.ZRangeWithScores(ctx, key, 0, -1).Val() {
				k.Sorted[encode(z.Member.(string))] = strconv.FormatFloat(z.Score, 'f', -1, 64)
			}
		default:
			f.t.Fatalf("%s is a %s", key, kind)
		}
		all[key] = k
	}
	f.Put(name, all)
}

// FillRedis writes the keys that PutRedis has stored into an empty database.
func (f *File) FillRedis(name string, client *goredis.Client) {
	f.t.Helper()
	all := map[string]redisKey{}
	f.Get(name, &all)
	client.FlushDB(f.t.Context())
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if err := f.fill(client, key, all[key]); err != nil {
			f.t.Fatalf("%s: %v", key, err)
		}
	}
}

// fill writes a key.
func (f *File) fill(client *goredis.Client, key string, k redisKey) (err error) {
	ctx := f.t.Context()
	for field, value := range k.Hash {
		err = errors.Join(err, client.HSet(ctx, key, field, f.decode(value)).Err())
	}
	for member, score := range k.Sorted {
		n, errScore := strconv.ParseFloat(score, 64)
		err = errors.Join(err, errScore, client.ZAdd(ctx, key, goredis.Z{Score: n, Member: f.decode(member)}).Err())
	}
	if k.String != "" {
		err = errors.Join(err, client.Set(ctx, key, f.decode(k.String), 0).Err())
	}
	return err
}

func encode(value string) string { return base64.StdEncoding.EncodeToString([]byte(value)) }

func (f *File) decode(value string) string {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		f.t.Fatalf("%s: %v", f.name, err)
	}
	return string(b)
}
