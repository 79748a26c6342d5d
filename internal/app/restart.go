package app

import (
	"slices"

	"sallyport/internal/config"
)

// needRestart returns the names of the settings that differ between the configuration with which the process started and a new one, and
// that a reload can't change: they shape the listeners and the log, which are made once.
func needRestart(started, file *config.File) (names []string) {
	before, after := started.Limits, file.Limits
	for _, s := range []struct {
		name    string
		changed bool
	}{
		{"listen", !sameListeners(started, file)},
		{"admin.listen", started.Admin.Listen != file.Admin.Listen},
		{"limits.read_header_timeout", before.ReadHeaderTimeout != after.ReadHeaderTimeout},
		{"limits.idle_timeout", before.IdleTimeout != after.IdleTimeout},
		{"limits.max_header_bytes", before.MaxHeaderBytes != after.MaxHeaderBytes},
		{"log.format", started.Log.Format != file.Log.Format},
	} {
		if s.changed {
			names = append(names, s.name)
		}
	}
	return names
}

// sameListeners reports whether two configurations listen on the same addresses for clients, with TLS on the same ones.
func sameListeners(a, b *config.File) bool {
	return slices.EqualFunc(a.Listen, b.Listen, func(x, y config.Listen) bool {
		return x.Address == y.Address && (x.TLS != nil) == (y.TLS != nil)
	})
}
