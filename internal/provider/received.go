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

// A receivedToken is a token in a request header.
type receivedToken struct {
	Kind, Header, Short string
	Expiry              *moment // nil if the token has no exp
	Claims              []claimRow
	payload             map[string]any // nil if the token isn't a JWT
}

// receivedTokens returns the access token in Authorization and the ID token in X-ID-Token, in this order.
func receivedTokens(r *http.Request, now time.Time) []receivedToken {
	var tokens []receivedToken
	add := func(kind, header, token string) {
		t := receivedToken{Kind: kind, Header: header, Short: shorten(token), payload: payload(token)}
		t.Claims = claimRows(t.payload, now)
		if exp, ok := numericDate(t.payload["exp"]); ok {
			t.Expiry = newMoment(exp, now)
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

// payload decodes the claims of a JWT without verifying it. It returns nil if token isn't a JWT.
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

// shorten returns the beginning of a secret, enough to distinguish two secrets and too little to use one, with its length.
func shorten(secret string) string {
	keep := min(10, len(secret)/4)
	return fmt.Sprintf("%s… (%d characters)", strings.ToValidUTF8(secret[:keep], ""), len(secret))
}

// secretName matches the lower-case names of header fields whose values are secrets.
var secretName = regexp.MustCompile(`token|secret|password|api-key`)

var jwtLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`)

// shortenJWTs shortens every JWT in s.
func shortenJWTs(s string) string { return jwtLike.ReplaceAllStringFunc(s, shorten) }

type receivedHeader struct{ Name, Value string }

// receivedHeaders returns the header fields of the request, sorted by name, with shortened secrets.
func receivedHeaders(r *http.Request) []receivedHeader {
	list := []receivedHeader{{"Host", r.Host}}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		var values []string
		for _, v := range r.Header[name] {
			values = append(values, redactedValue(name, v))
		}
		list = append(list, receivedHeader{name, strings.Join(values, ", ")})
	}
	return list
}

// redactedValue returns the value of a header field with shortened secrets.
func redactedValue(name, value string) string {
	lower := strings.ToLower(name)
	switch {
	case strings.Contains(lower, "authorization"):
		scheme, secret, ok := strings.Cut(value, " ")
		if !ok {
			return shorten(value)
		}
		return scheme + " " + shorten(secret)
	case lower == "cookie":
		return redactedCookies(value)
	case secretName.MatchString(lower):
		return shorten(value)
	}
	return shortenJWTs(value)
}

// redactedCookies returns a Cookie header with shortened values, because a value may identify a session.
func redactedCookies(value string) string {
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
