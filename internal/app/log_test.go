package app

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"sallyport/internal/config"
)

// TestTheLogIsBounded checks that no attribute makes a line of the log long.
func TestTheLogIsBounded(t *testing.T) {
	huge := strings.Repeat("x", 100_000)
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log := newLog(&out, config.Log{Format: format}, new(slog.LevelVar))
		log.Info("request", "method", huge, "origin", "http://"+huge, "path", "/"+huge, "error", errors.New(huge),
			slog.Group("of", "sub", huge))
		log.Info(huge)
		for line := range strings.Lines(out.String()) {
			if len(line) > 6*maxLogged {
				t.Errorf("%s: a line of %d bytes", format, len(line))
			}
		}
		if !strings.Contains(out.String(), "…") || !strings.Contains(out.String(), "request") {
			t.Errorf("%s: the log says %.200s", format, out.String())
		}
	}
}
