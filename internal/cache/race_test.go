//go:build race

package cache

// floods is smaller because the race detector makes each call ten times slower.
const floods = 50_000
