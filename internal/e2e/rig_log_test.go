package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// A line is a line of the gate's log.
type line map[string]any

func (l line) text(name string) string { s, _ := l[name].(string); return s }

// mustLine returns the access log's line for a response of the gate, by its X-Request-Id.
func (g *gate) mustLine(t *testing.T, a answer) line {
	t.Helper()
	return g.mustLineOf(t, "request", a.header.Get("X-Request-Id"))
}

// mustLineOf waits for the line of a request with this message and returns it.
func (g *gate) mustLineOf(t *testing.T, message, id string) (found line) {
	t.Helper()
	if id == "" {
		t.Fatal("there is no X-Request-Id")
	}
	mustAwait(t, 10*time.Second, "the log line of the request "+id, func() (ok bool) {
		found, ok = g.lineOf(message, id)
		return ok
	})
	return found
}

// lineOf returns the line of a request with this message, if the log has it.
func (g *gate) lineOf(message, id string) (found line, ok bool) {
	for text := range strings.Lines(g.log.String()) {
		var l line
		if strings.Contains(text, id) && json.Unmarshal([]byte(text), &l) == nil && l.text("msg") == message && l.text("request_id") == id {
			return l, true
		}
	}
	return nil, false
}
