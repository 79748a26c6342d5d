package provider

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A receivedToken is a token that came in a header.
type receivedToken struct {
	Kind, Header, Short string
	Expiry              *moment // nil if it doesn't say
	Claims              []claimRow
	payload             map[string]any // nil if it is opaque
}

// receivedTokens finds the access token and, after it, the ID token.
func receivedTokens(r *http.Request, now time.Time) []receivedToken {
	var tokens []receivedToken
	add := func(kind, header, token string) {
		t := receivedToken{Kind: kind, Header: header, Short: shorten(token), payload: payload(token)}
		t.Claims = claimRows(t.payload, now)
		if exp, ok := numericDate(t.payload["exp"]); ok {
			t.Expiry = momentOf(exp, now)
		}
		tokens = append(tokens, t)
	}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		add("Access token", "Authorization", strings.TrimSpace(token))
	}
	if token := r.Header.Get("X-ID-Token"); token != "" {
		add("ID token", "X-ID-Token", token)
	}
	return tokens
}

// payload decodes a JWT's claims; nil if it is none.
func payload(token string) map[string]any {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	claims, err := decodeClaims(raw)
	if err != nil {
		return nil
	}
	return claims
}

// shorten keeps enough of a secret to tell two apart, and too little to use one.
func shorten(secret string) string {
	keep := min(10, len(secret)/4)
	return fmt.Sprintf("%s… (%d characters)", strings.ToValidUTF8(secret[:keep], ""), len(secret))
}

var jwtLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`)

// shortenJWTs shortens every JWT in a text.
func shortenJWTs(s string) string { return jwtLike.ReplaceAllStringFunc(s, shorten) }

type receivedHeader struct{ Name, Value string }

// receivedHeaders are the request's headers by name, with their secrets shortened.
func receivedHeaders(r *http.Request) []receivedHeader {
	list := []receivedHeader{{"Host", r.Host}}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		var shown []string
		for _, v := range r.Header[name] {
			shown = append(shown, shownValue(name, v))
		}
		list = append(list, receivedHeader{name, strings.Join(shown, ", ")})
	}
	return list
}

func shownValue(name, value string) string {
	lower := strings.ToLower(name)
	switch {
	case strings.Contains(lower, "authorization"):
		scheme, secret, ok := strings.Cut(value, " ")
		if !ok {
			return shorten(value)
		}
		return scheme + " " + shorten(secret)
	case lower == "cookie":
		return shownCookies(value)
	case slices.ContainsFunc([]string{"token", "secret", "password", "api-key"}, func(s string) bool { return strings.Contains(lower, s) }):
		return shorten(value)
	}
	return shortenJWTs(value)
}

// shownCookies shows the names: a cookie's value is mostly somebody's session.
func shownCookies(value string) string {
	pairs := strings.Split(value, ";")
	for i, pair := range pairs {
		name, secret, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok {
			name, secret = "", name
		}
		pairs[i] = name + "=" + shorten(secret)
	}
	return strings.Join(pairs, "; ")
}
