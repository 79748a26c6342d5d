package session

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/redis/redistest"
)

// large returns a login as Keycloak makes it: three tokens of 1.2 KB and the claims of two.
func large() Login {
	l := john()
	token := strings.Repeat("eyJhbGciOi", 120)
	l.Identity.Tokens.AccessToken, l.Identity.Tokens.IDToken, l.Identity.Tokens.RefreshToken = token, token+"1", token+"2"
	for n := range 15 {
		l.Identity.AccessToken[fmt.Sprint("claim_", n)] = "a value of some length"
	}
	return l
}

func benchmarkOpen(b *testing.B, s *Sessions) {
	id, _, err := s.Start(context.Background(), nil, large())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Open(context.Background(), id); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkOpenMemory(b *testing.B) {
	s, err := New(Config{Settings: Settings{IdlingTimeout: usual.idling, RollingTimeout: usual.rolling}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	benchmarkOpen(b, s)
}

func BenchmarkOpenRedis(b *testing.B) { benchmarkOpenRedis(b, 0) }

func BenchmarkOpenRedisNear(b *testing.B) { benchmarkOpenRedis(b, time.Second) }

func benchmarkOpenRedis(b *testing.B, near time.Duration) {
	server := redistest.Start(b)
	s, err := New(Config{
		Settings: Settings{
			Storage: "redis", Redis: server.Settings(), NearCache: near, IdlingTimeout: usual.idling, RollingTimeout: usual.rolling,
		},
		Keyring: mustKeyring(b, secretA),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	benchmarkOpen(b, s)
}

// BenchmarkOpenRecord measures an Open that must decrypt and parse the record.
func BenchmarkOpenRecord(b *testing.B) {
	k := mustKeyring(b, secretA)
	e := johnsEntry()
	e.session.Login = large()
	record, err := e.seal(k, "name")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := open(k, e.id, "name", record); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenCookie(b *testing.B) {
	k := mustKeyring(b, auth.Secret(secretA))
	value, _ := k.SignID("__Host-session_01234567", newID())
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := k.OpenID("__Host-session_01234567", value); !ok {
			b.Fatal("it doesn't open")
		}
	}
}

// BenchmarkOpenChunks measures an Open of cookies that were opened before.
func BenchmarkOpenChunks(b *testing.B) {
	c := newCookieSessions(usual, mustKeyring(b, secretA), time.Now, slog.New(slog.DiscardHandler))
	_, s, _ := c.Read("s", nil).Start(b.Context(), nil, randomLogin(5000))
	values, err := c.Seal("s", room, s)
	if err != nil {
		b.Fatal(err)
	}
	var cookies []*http.Cookie
	for index, value := range values {
		cookies = append(cookies, &http.Cookie{Name: ChunkName("s", index), Value: value})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Read("s", cookies).Open(b.Context(), ID{}); err != nil {
			b.Fatal(err)
		}
	}
}
