package provider

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// A claimRow is a claim as people read it; a member of an object has a row of its own, named like realm_access.roles.
type claimRow struct {
	Name, Meaning string
	Values        []string
	List          bool
	Time          *moment
}

// knownClaims are those that come first, and what they mean in a few words.
var knownClaims = []struct{ name, meaning string }{
	{"sub", "subject: who it is about"}, {"name", ""}, {"preferred_username", ""}, {"email", ""}, {"email_verified", ""},
	{"groups", ""}, {"realm_access.roles", ""}, {"scope", "what was allowed"}, {"iss", "issuer"}, {"aud", "audience: whom it is for"},
	{"client_id", "who asked for it"}, {"azp", "who asked for it"}, {"exp", "expires"}, {"iat", "issued"}, {"nbf", "not before"},
	{"auth_time", "time of the login"}, {"acr", "how strong the login was"}, {"amr", "how the login was done"},
	{"sid", "session at the provider"}, {"nonce", "ties it to the login request"}, {"at_hash", "ties it to the access token"},
	{"jti", "its own name"},
}

// claimRows are the known claims in their order, then all others by name.
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
			r.Time = momentOf(t, now)
		}
	}
	slices.SortStableFunc(rows, func(a, b claimRow) int { return cmp.Compare(rank[a.Name], rank[b.Name]) })
	return rows
}

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
				row.Values = append(row.Values, text(e))
			}
		default:
			row.Values = []string{text(v)}
		}
		rows = append(rows, row)
	}
	return rows
}

// text is a string as it is, unless it is a token itself, and anything else as JSON.
func text(v any) string {
	if s, ok := v.(string); ok {
		return shortenJWTs(s)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// A moment is a time, seen from now.
type moment struct {
	Machine, Absolute, Relative string
	Past                        bool
}

func momentOf(t, now time.Time) *moment {
	m := &moment{
		Machine: t.UTC().Format(time.RFC3339), Absolute: t.UTC().Format("2 January 2006, 15:04:05 UTC"), Past: !t.After(now),
	}
	d := t.Sub(now).Abs().Truncate(time.Second)
	switch {
	case d < time.Second:
		m.Relative = "now"
	case m.Past:
		m.Relative = spell(d) + " ago"
	default:
		m.Relative = "in " + spell(d)
	}
	return m
}

// spell writes a duration in its two largest units.
func spell(d time.Duration) string {
	count := func(n time.Duration, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return strconv.FormatInt(int64(n), 10) + " " + unit + "s"
	}
	const day = 24 * time.Hour
	big, small, rest := "", "", time.Duration(0)
	switch {
	case d >= day:
		big, rest = count(d/day, "day"), d%day/time.Hour
		small = count(rest, "hour")
	case d >= time.Hour:
		big, rest = count(d/time.Hour, "hour"), d%time.Hour/time.Minute
		small = count(rest, "minute")
	case d >= time.Minute:
		big, rest = count(d/time.Minute, "minute"), d%time.Minute/time.Second
		small = count(rest, "second")
	default:
		return count(d/time.Second, "second")
	}
	if rest == 0 {
		return big
	}
	return big + " " + small
}

// numericDate reads RFC 7519 §2's dates; those out of any calendar are none.
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
