package authz

import (
	"fmt"

	"sallyport/internal/auth"
)

// forbid returns a refusal with status 403. The format and its arguments are the cause, for the log.
func forbid(reason, format string, args ...any) error {
	return auth.Forbidden(reason, fmt.Errorf(format, args...))
}

// clip bounds the length of a client's value in a log line.
func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}
