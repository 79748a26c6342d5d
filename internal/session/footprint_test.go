package session

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sallyport/internal/redis/redistest"
)

// BenchmarkFootprint measures how many bytes a session takes, with its index entries and its details, if each is of another user. The
// number of iterations is the number of sessions: see make footprint.
func BenchmarkFootprint(b *testing.B) {
	for _, size := range []int{1200, 5000} {
		b.Run(fmt.Sprintf("redis/record=%d", size), func(b *testing.B) { footprintInRedis(b, size) })
		b.Run(fmt.Sprintf("memory/record=%d", size), func(b *testing.B) { footprintInMemory(b, size) })
	}
}

// day are timeouts that end no session while it is measured.
var day = Settings{IdlingTimeout: 24 * time.Hour, RollingTimeout: 24 * time.Hour, AbsoluteTimeout: 24 * time.Hour}

func footprintInRedis(b *testing.B, size int) {
	server := redistest.Start(b)
	settings, client := day, server.Client(b, 0)
	settings.Storage, settings.Redis = "redis", server.Settings()
	s, err := New(Config{Settings: settings, Keyring: mustKeyring(b, secretA)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	before := usedMemory(b, client)
	ids := startAll(b, s, size)
	after := usedMemory(b, client)
	b.ReportMetric(float64(after-before)/float64(b.N), "bytes/session")
	b.ReportMetric(float64(after), "used_memory")
	length := client.StrLen(context.Background(), s.store.(*redisStore).record(ids[0])).Val()
	b.ReportMetric(float64(length), "bytes/record")
}

// usedMemory returns how many bytes Redis has allocated.
func usedMemory(b *testing.B, client *goredis.Client) int {
	b.Helper()
	for line := range strings.Lines(client.Info(context.Background(), "memory").Val()) {
		if value, ok := strings.CutPrefix(line, "used_memory:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	b.Fatal("redis doesn't say how much memory it uses")
	return 0
}

func footprintInMemory(b *testing.B, size int) {
	if b.N > maxInMemory {
		b.Fatalf("at most %d sessions are in memory", maxInMemory)
	}
	s, err := New(Config{Settings: day})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	before := heap()
	startAll(b, s, size)
	after := heap()
	b.ReportMetric((after-before)/float64(b.N), "bytes/session")
	b.ReportMetric(after-before, "bytes")
}

// heap returns how many bytes of the heap are in use.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// startAll starts b.N sessions. The first of the IDs that it returns is one of them.
func startAll(b *testing.B, s *Sessions, size int) (some [1]ID) {
	b.Helper()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				id, _, err := s.Start(context.Background(), nil, sized(size, n))
				if err != nil {
					b.Error(err)
					return
				}
				if n == 1 {
					some[0] = id
				}
			}
		})
	}
	workers.Wait()
	return some
}

// sized returns the login of a user, whose record has about size bytes: a third of what its other parts leave for each token.
func sized(size int, user int64) Login {
	const rest = 800
	l := john()
	l.Subject, l.SID = fmt.Sprint("user-", user), fmt.Sprint("session-of-user-", user)
	tokens := &l.Identity.Tokens
	for _, token := range []*string{&tokens.AccessToken, &tokens.RefreshToken, &tokens.IDToken} {
		*token = randomLogin((size - rest) / 3).Identity.Tokens.AccessToken
	}
	return l
}
