package provider

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A claimRow is a claim in the table of the whoami page. Each member of an object has a row of its own, with a name such as
// realm_access.roles.
type claimRow struct {
	Name, Meaning string
	Values        []string
	List          bool
	Time          *moment
}

// knownClaims lists the claims that the table shows first, with short explanations.
var knownClaims = []struct{ name, meaning string }{
	{"sub", "subject: the user or client"}, {"name", ""}, {"preferred_username", ""}, {"email", ""}, {"email_verified", ""},
	{"groups", ""}, {"realm_access.roles", ""}, {"scope", "granted scopes"}, {"iss", "issuer"},
	{"aud", "audience: the intended recipients"},
	{"client_id", "the client"}, {"azp", "authorized party: the client"}, {"exp", "expires"}, {"iat", "issued"}, {"nbf", "not before"},
	{"auth_time", "time of the login"}, {"acr", "authentication level of the login"}, {"amr", "authentication methods of the login"},
	{"sid", "session at the provider"}, {"nonce", "binds the token to the authorization request"},
	{"at_hash", "binds the token to the access token"}, {"jti", "unique ID of the token"},
}

// claimRows returns the rows of knownClaims in their order, then all other claims sorted by name.
func claimRows(claims map[string]any, now time.Time) []claimRow {
	rank, meaning := map[string]int{}, map[string]string{}
	for i, k := range knownClaims {
		rank[k.name], meaning[k.name] = i-len(knownClaims), k.meaning
	}
	rows := flatten("", claims)
	for i := range rows {
		r := &rows[i]
		r.Meaning = meaning[r.Name]
		if t, ok := numericDate(claims[r.Name]); ok && slices.Contains([]string{"exp", "iat", "nbf", "auth_time", "updated_at"}, r.Name) {
			r.Time = newMoment(t, now)
		}
	}
	slices.SortStableFunc(rows, func(a, b claimRow) int { return cmp.Compare(rank[a.Name], rank[b.Name]) })
	return rows
}

// flatten returns a row for each member of object and of the objects in it, sorted by name.
func flatten(prefix string, object map[string]any) []claimRow {
	var rows []claimRow
	for _, name := range slices.Sorted(maps.Keys(object)) {
		row := claimRow{Name: prefix + name}
		switch v := object[name].(type) {
		case map[string]any:
			if len(v) > 0 {
				rows = append(rows, flatten(row.Name+".", v)...)
				continue
			}
			row.Values = []string{"{}"}
		case []any:
			row.List = true
			for _, e := range v {
				row.Values = append(row.Values, claimText(e))
			}
		default:
			row.Values = []string{claimText(v)}
		}
		rows = append(rows, row)
	}
	return rows
}

// claimText returns a string unchanged, except that it shortens JWTs in it, and any other value as JSON.
func claimText(v any) string {
	if s, ok := v.(string); ok {
		return shortenJWTs(s)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// A moment is a time with its distance from now.
type moment struct {
	Machine, Absolute, Relative string
	Past                        bool
}

func newMoment(t, now time.Time) *moment {
	m := &moment{
		Machine: t.UTC().Format(time.RFC3339), Absolute: t.UTC().Format("2 January 2006, 15:04:05 UTC"), Past: !t.After(now),
	}
	d := t.Sub(now).Abs().Truncate(time.Second)
	switch {
	case d < time.Second:
		m.Relative = "now"
	case m.Past:
		m.Relative = formatDuration(d) + " ago"
	default:
		m.Relative = "in " + formatDuration(d)
	}
	return m
}

// formatDuration formats d in its two largest units.
func formatDuration(d time.Duration) string {
	type unit struct {
		size time.Duration
		name string
	}
	count := func(n time.Duration, u unit) string {
		if n == 1 {
			return "1 " + u.name
		}
		return fmt.Sprintf("%d %ss", n, u.name)
	}
	units := []unit{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}
	for i, u := range units[:3] {
		if d < u.size {
			continue
		}
		text := count(d/u.size, u)
		if rest := d % u.size / units[i+1].size; rest > 0 {
			text += " " + count(rest, units[i+1])
		}
		return text
	}
	return count(d/time.Second, units[3])
}

// numericDate parses a NumericDate (RFC 7519 §2). It rejects negative values and years far beyond any token's lifetime.
func numericDate(v any) (time.Time, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f > 1<<36 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}
