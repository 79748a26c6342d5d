package app

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
)

// The garbage collector runs when the heap has grown by this much since the last collection: by maxGCPercent of what is live as long as
// that is little, because most of a proxy's garbage lives as long as a request and Go's default of 100 would collect every few hundred
// requests; then by gcRoom bytes; and by minGCPercent if much is live.
const (
	maxGCPercent = 400
	minGCPercent = 100
	gcRoom       = 256 << 20
)

// tuneMemory sets how the garbage collector uses memory, unless the environment does so by GOGC and GOMEMLIMIT. The returned function ends
// that.
func tuneMemory() (stop func()) {
	if os.Getenv("GOMEMLIMIT") == "" {
		if limit := cgroupLimit("/"); limit > 0 {
			debug.SetMemoryLimit(limit / 10 * 9) // the rest is for the stacks of the C library, the page cache, and what comes late
		}
	}
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	return tuneGC()
}

// tuneGC sets the percentage by which the heap may grow after each collection.
func tuneGC() (stop func()) {
	debug.SetGCPercent(maxGCPercent)
	done := make(chan struct{})
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	var next func()
	next = func() { // runs once after each collection
		runtime.AddCleanup(new([16]byte), func(struct{}) {
			select {
			case <-done:
				return
			default:
			}
			metrics.Read(live)
			debug.SetGCPercent(gcPercent(live[0].Value.Uint64()))
			next()
		}, struct{}{})
	}
	next()
	return func() { close(done) }
}

// gcPercent returns the percentage by which the heap may grow if so many bytes are live.
func gcPercent(live uint64) int {
	return int(min(max(gcRoom*100/max(live, 1), minGCPercent), maxGCPercent))
}

// cgroupLimit returns the memory that the process's control groups allow it, in bytes; 0 for no limit. root is the root of the file system.
func cgroupLimit(root string) (limit int64) {
	groups, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // ID:CONTROLLERS:PATH
		if len(parts) != 3 {
			continue
		}
		switch parts[1] {
		case "": // version 2
			limit = lower(limit, limitOf(filepath.Join(root, "sys/fs/cgroup"), parts[2], "memory.max"))
		case "memory": // version 1
			limit = lower(limit, limitOf(filepath.Join(root, "sys/fs/cgroup/memory"), parts[2], "memory.limit_in_bytes"))
		}
	}
	return limit
}

// limitOf returns the least limit of a group and the groups around it. In a container the path may be one of the host's, and the group of
// the container is the one at the top.
func limitOf(top, path, file string) (limit int64) {
	for path = filepath.Clean("/" + path); ; path = filepath.Dir(path) {
		text, err := os.ReadFile(filepath.Join(top, path, file))
		if n, errNumber := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && errNumber == nil { // not "max"
			limit = lower(limit, n)
		}
		if path == "/" {
			return limit
		}
	}
}

// noCgroupLimit is above every limit: version 1 writes a number of this size for none.
const noCgroupLimit = 1 << 60

// lower returns the lower one of two limits, of which 0 is none.
func lower(a, b int64) int64 {
	switch {
	case b <= 0 || b >= noCgroupLimit:
		return a
	case a == 0:
		return b
	}
	return min(a, b)
}
