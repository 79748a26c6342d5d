package freeport

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
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

// TestBlocks checks that another process gets ports of other blocks.
func TestBlocks(t *testing.T) {
	if os.Getenv("FREEPORT_CHILD") != "" {
		for range 300 {
			fmt.Println(Port())
		}
		return
	}
	own := map[string]bool{}
	for range 300 {
		own[strconv.Itoa(Port())] = true
	}
	child := exec.Command(os.Args[0], "-test.run", "TestBlocks")
	child.Env = append(os.Environ(), "FREEPORT_CHILD=1")
	out, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range strings.Fields(string(out)) {
		if own[port] {
			t.Errorf("both processes got %s", port)
		}
	}
}
