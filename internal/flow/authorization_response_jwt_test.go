package flow

import (
	"crypto/rand"
	"crypto/rsa"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// asJWT makes the row's login ask for a JWT as its authorization response.
func asJWT(s *Settings) {
	s.ResponseMode, s.Client.AuthorizationSignedResponseAlg = "jwt", "RS256"
}

// jarmClaims returns the claims of the response that the provider would send.
func jarmClaims(r *tokenRig, l *loginOf) map[string]any {
	return map[string]any{
		"iss": r.issuer.Issuer(), "aud": "app", "exp": r.clock.Now().Add(time.Minute).Unix(), "code": "x", "state": l.request.Get("state"),
	}
}

// resigned replaces the response by one whose claims are changed, signed as options say.
func resigned(change func(map[string]any), options ...provider.SignOption) func(*tokenRig, *loginOf) {
	return func(r *tokenRig, l *loginOf) {
		claims := jarmClaims(r, l)
		if change != nil {
			change(claims)
		}
		l.response = url.Values{"response": {r.issuer.SignJWT(claims, options...)}}
	}
}

func claim(name string, v any) func(map[string]any) {
	return func(claims map[string]any) {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
}

// TestResponsesAsJWTs: a login that asked for a JWT accepts only the response of its issuer, to its client, for its state, in time (JARM
// §2.4). A plain response is no fallback.
func TestResponsesAsJWTs(t *testing.T) {
	stranger, _ := rsa.GenerateKey(rand.Reader, 2048)
	plain := func(r *tokenRig, l *loginOf) {
		l.response = url.Values{"code": {"x"}, "state": {l.request.Get("state")}, "iss": {r.issuer.Issuer()}}
	}
	rows := []loginRow{
		{name: "good", calls: 1},
		{name: "no iss", response: resigned(claim("iss", nil)), want: loginFailed},
		{name: "another iss", response: resigned(claim("iss", "https://evil.example")), want: loginFailed},
		{name: "another aud", response: resigned(claim("aud", "other")), want: loginFailed},
		{name: "no aud", response: resigned(claim("aud", nil)), want: loginFailed},
		{name: "expired", response: resigned(claim("exp", 1)), want: loginFailed},
		{name: "no exp", response: resigned(claim("exp", nil)), want: loginFailed},
		{name: "none", response: resigned(nil, provider.WithAlg("none")), want: loginFailed},
		{name: "another key", response: resigned(nil, provider.WithKey(stranger)), want: loginFailed},
		{name: "another alg", response: resigned(nil, provider.WithAlg("PS256")), want: loginFailed},
		{name: "no code", response: resigned(claim("code", nil)), want: loginFailed},
		{name: "a code that isn't text", response: resigned(claim("code", []string{"x"})), want: loginFailed},
		{name: "denied", response: resigned(claim("error", "access_denied")), want: outcome{status: 403, reason: "login_denied"}},
		{name: "an unsigned refusal", response: resigned(claim("error", "access_denied"), provider.WithAlg("none")), want: loginFailed},
		{name: "no state", response: resigned(claim("state", nil)), want: stale, kept: true},
		{name: "another browser's state", response: func(r *tokenRig, l *loginOf) {
			l.response = r.login("jane", r.browse("/"), auth.Login{}).response
		}, want: stale, kept: true},

		{name: "plain", response: plain, want: stale, kept: true},
		{name: "a plain error", response: func(r *tokenRig, l *loginOf) {
			plain(r, l)
			l.response.Del("code")
			l.response.Set("error", "access_denied")
		}, want: stale, kept: true},
		{name: "a plain ID token", response: func(_ *tokenRig, l *loginOf) { l.response = url.Values{"id_token": {"x"}} },
			want: stale, kept: true},
		{name: "plain beside a JWT", response: func(_ *tokenRig, l *loginOf) { l.response.Set("code", "x") }, want: stale, kept: true},
		{name: "two JWTs", response: func(_ *tokenRig, l *loginOf) {
			l.response["response"] = slices.Repeat(l.response["response"], 2)
		}, want: stale, kept: true},
		{name: "no JWT", response: param("response", "x"), want: stale, kept: true},
		{name: "a huge JWT", response: param("response", strings.Repeat("a", 40<<10)), want: stale, kept: true},
		{name: "a browser without a login", response: func(_ *tokenRig, l *loginOf) {
			l.cookies[0].Value = "x"
		}, want: stale, kept: true},
	}
	r := newTokenRig(t, asJWT)
	for _, c := range rows {
		c.run(t, r)
	}
}

// TestResponseJWTIsRepeated: while the issuer's keys can't be fetched the login stays, and the browser may repeat the response.
func TestResponseJWTIsRepeated(t *testing.T) {
	r := newTokenRig(t, asJWT)
	l := r.login("john", r.browse(loginPage), auth.Login{})
	r.issuer.RotateKeys(false)
	resigned(nil)(r, l)
	answers(r.issuer, provider.JWKS, 503, "")
	for range 2 {
		if _, err := r.endpoint("callback", r.callback(l)); outcomeOf(err) != away("issuer_unavailable") {
			t.Errorf("got %v", err)
		}
	}
}

// TestJWTsAreDecryptedForLogins: a browser without a pending login causes no decryption.
func TestJWTsAreDecryptedForLogins(t *testing.T) {
	r := newTokenRig(t, asJWT)
	for name, cookies := range map[string]string{"no cookie": "", "another cookie": "x=y"} {
		q := r.browse("/oauth2/callback?response=a.b.c.d.e", "Cookie", cookies)
		_, err := r.endpoint("callback", q)
		if err == nil || strings.Contains(err.Error(), "JWE") || strings.Contains(err.Error(), "encrypted") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
