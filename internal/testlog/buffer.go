// Package testlog has the log of tests.
package testlog

import "sync"

// A Buffer is a log that a test reads while goroutines write to it. The zero value is empty, and keeps all.
type Buffer struct {
	Limit int // how many of the last bytes are kept, at least; 0: all

	mu sync.Mutex
	b  []byte
}

// Write appends to the log. It returns no error.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b = append(b.b, p...)
	if b.Limit > 0 && len(b.b) > 2*b.Limit {
		b.b = append(b.b[:0], b.b[len(b.b)-b.Limit:]...)
	}
	return len(p), nil
}

// String returns what was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.b)
}
