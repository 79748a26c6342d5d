//go:build !race

package cache

const strangers = 1_000_000
