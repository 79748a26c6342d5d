// Package golden reads what earlier versions of the gate have stored, for tests that open it with today's code. The records of one format are
// in one file of testdata/stored, which is never changed: a new format has a new file, and both must open. go test -run TestStored -write-stored
// writes the files that don't exist.
package golden

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

var write = flag.Bool("write-stored", false, "write the files of stored records that don't exist")

// A File has the stored values of one version, by name.
type File struct {
	t      testing.TB
	name   string
	values map[string]json.RawMessage
}

// Open opens testdata/stored/VERSION.json. With -write-stored it calls make if the file doesn't exist, and writes the file with what make has put.
func Open(t testing.TB, version string, make func(*File)) *File {
	t.Helper()
	f := &File{t: t, name: filepath.Join("testdata/stored", version+".json"), values: map[string]json.RawMessage{}}
	content, err := os.ReadFile(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && *write:

		make(f)
		f.save()
	case err != nil:
		t.Fatalf("%v: go test -run TestStored -write-stored writes what is stored now", err)
	default:
		if err := json.Unmarshal(content, &f.values); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
	}
	return f
}

// save writes the file.
func (f *File) save() {
	f.t.Helper()
	content, err := json.MarshalIndent(f.values, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(f.name), 0o755)
	}
	if err == nil {
		err = os.WriteFile(f.name, append(content, '\n'), 0o644)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// Put stores a value as JSON; bytes become base64.
func (f *File) Put(name string, value any) {
	f.t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		f.t.Fatal(err)
	}
	f.values[name] = content
}

// Get reads a value that Put has stored.
func (f *File) Get(name string, to any) {
	f.t.Helper()
	content, ok := f.values[name]
	if !ok {
		f.t.Fatalf("%s has no %s", f.name, name)
	}
	if err := json.Unmarshal(content, to); err != nil {
		f.t.Fatalf("%s: %s: %v", f.name, name, err)
	}
}

// Text reads a string.
func (f *File) Text(name string) (text string) {
	f.t.Helper()
	f.Get(name, &text)
	return text
}

// Bytes reads bytes.
func (f *File) Bytes(name string) (b []byte) {
	f.t.Helper()
	f.Get(name, &b)
	return b
}

// Time reads a time, such as the one at which the file was written: records expire.
func (f *File) Time(name string) (at time.Time) {
	f.t.Helper()
	f.Get(name, &at)
	return at
}

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
