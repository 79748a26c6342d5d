package auth

import "log/slog"

// A Secret is a string that formatters, encoders and loggers print as [redacted]. Use string(s) where it must leave the process.
type Secret string

const redacted = "[redacted]"

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
