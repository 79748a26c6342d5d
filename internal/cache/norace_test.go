//go:build !race

package cache

const floods = 1_000_000
