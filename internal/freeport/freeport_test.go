package freeport

import (
	"fmt"
	"net"
	"testing"
)

// TestPort checks that ports are free and that each is returned once.
func TestPort(t *testing.T) {
	seen := map[int]bool{}
	for range 200 {
		port := Port()
		if seen[port] {
			t.Fatalf("%d was returned twice", port)
		}
		seen[port] = true
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
}
