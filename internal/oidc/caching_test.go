package oidc

import (
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// TestCacheTimes sends the same request twice, some time apart, and counts the calls. The response names no expiry.
func TestCacheTimes(t *testing.T) {
	for _, c := range []struct {
		what     string
		settings CacheSettings
		apart    time.Duration
		calls    int
	}{
		{"cache_ttl isn't over", CacheSettings{CacheTTL: 20 * time.Second}, 15 * time.Second, 1},
		{"cache_ttl is over", CacheSettings{CacheTTL: 20 * time.Second}, 25 * time.Second, 2},
		{"cache_ttl_min isn't over", CacheSettings{CacheTTL: time.Second, CacheTTLMin: 20 * time.Second}, 15 * time.Second, 1},
		{"cache_ttl_min is over", CacheSettings{CacheTTL: time.Second, CacheTTLMin: 20 * time.Second}, 25 * time.Second, 2},
		{"cache_ttl_max isn't over", CacheSettings{CacheTTL: time.Hour, CacheTTLMax: 20 * time.Second}, 15 * time.Second, 1},
		{"cache_ttl_max is over", CacheSettings{CacheTTL: time.Hour, CacheTTLMax: 20 * time.Second}, 25 * time.Second, 2},
	} {
		p, client, now := begin(t, func(s *Settings) {
			s.UserinfoAccept, s.CacheSettings = "application/json", c.settings
			s.CacheUserInfo = true
		})
		token := p.AccessToken("john", "app", nil)
		for range 2 {
			if _, err := client.Userinfo(t.Context(), auth.Tokens{AccessToken: token}, Caller{}); err != nil {
				t.Fatal(err)
			}
			now.advance(c.apart)
		}
		if got := p.Requests(provider.Userinfo); got != c.calls {
			t.Errorf("%s: the issuer was asked %d times, expected %d", c.what, got, c.calls)
		}
	}
}

// TestExchangeTTL checks that token_exchange.cache.ttl bounds how long an exchanged token is cached, and that the token's expiry ends it
// sooner.
func TestExchangeTTL(t *testing.T) {
	for _, c := range []struct {
		ttl, apart time.Duration
		calls      int
	}{
		{20 * time.Second, 15 * time.Second, 1},
		{20 * time.Second, 25 * time.Second, 2},
		{0, 25 * time.Second, 1},
		{time.Hour, 6 * time.Minute, 2}, // the token lives for 5 minutes
	} {
		p, client, now := begin(t, func(s *Settings) {
			s.CacheTTL = time.Hour
			s.TokenExchange = &TokenExchange{GrantType: "token_exchange", Cache: ExchangeCache{Enabled: true, TTL: c.ttl},
				Request: ExchangeRequest{Audience: []string{"app"}, SubjectTokenType: typeAccessToken, RequestedTokenType: typeAccessToken}}
		})
		subject := p.AccessToken("john", "app", map[string]any{"exp": now.Now().Add(time.Hour).Unix()})
		for range 2 {
			if _, err := client.Exchange(t.Context(), subject, "", Caller{}); err != nil {
				t.Fatal(err)
			}
			now.advance(c.apart)
		}
		if got := p.Requests(provider.Token); got != c.calls {
			t.Errorf("ttl %v: the issuer was asked %d times in %v, expected %d", c.ttl, got, c.apart, c.calls)
		}
	}
}

// TestRotatedRefreshToken checks that requests which send a refresh token at the same time share one use of it. A later request goes to
// the authorization server, however long the access token is valid, unless the refresh token wasn't rotated.
func TestRotatedRefreshToken(t *testing.T) {
	for _, c := range []struct {
		name   string
		client string
		apart  time.Duration
		calls  int
	}{
		{"at the same time", "app", time.Second, 1},
		{"reused", "app", 2 * rotatedLifetime, 2},
		{"not rotated", "keeps", 2 * rotatedLifetime, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, client, now := begin(t, func(s *Settings) {
				s.ClientID, s.CacheTTL, s.CacheTokens, s.CacheTTLResurrect = []string{c.client}, time.Hour, true, time.Hour
			})
			first, err := client.Password(t.Context(), "john", "doe", Caller{})
			if err != nil {
				t.Fatal(err)
			}
			before := p.Requests(provider.Token)
			for range 2 {
				client.Refreshed(t.Context(), first.Tokens.RefreshToken, Caller{})
				now.advance(c.apart)
			}
			if got := p.Requests(provider.Token) - before; got != c.calls {
				t.Errorf("the issuer was asked %d times, expected %d", got, c.calls)
			}
		})
	}
}
