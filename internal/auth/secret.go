package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
)

// A Secret is a string that formatters, encoders and loggers print as [redacted]. Use string(s) where it must leave the process.
type Secret string

const redacted = "[redacted]"

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Is reports whether a text is the secret. How long it takes depends on neither.
func (s Secret) Is(text string) bool {
	x, y := sha256.Sum256([]byte(s)), sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
