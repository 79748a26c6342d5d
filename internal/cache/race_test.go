//go:build race

package cache

// strangers is fewer where each costs ten times as much.
const strangers = 50_000
