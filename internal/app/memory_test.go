package app

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// TestGCFollowsTheLiveHeap checks that the heap may grow by less if more is live, and by more after that is gone.
func TestGCFollowsTheLiveHeap(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	stop := tuneGC()
	defer stop()
	live := make([]byte, gcRoom)
	awaitGCPercent(t, minGCPercent)
	runtime.KeepAlive(live)
	live = nil
	awaitGCPercent(t, maxGCPercent)
}

// awaitGCPercent collects garbage until the percentage is as expected.
func awaitGCPercent(t *testing.T, want uint64) {
	t.Helper()
	percent := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		runtime.GC()
		runtime.Gosched()
		if metrics.Read(percent); percent[0].Value.Uint64() == want {
			return
		}
	}
	t.Errorf("the heap may grow by %d %%, expected %d", percent[0].Value.Uint64(), want)
}

func TestGCPercent(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 1 << 20: 400, 64 << 20: 400, 128 << 20: 200, 200 << 20: 128, 256 << 20: 100, 1 << 40: 100} {
		if got := gcPercent(live); got != want {
			t.Errorf("%d bytes live: got %d, expected %d", live, got, want)
		}
	}
}

// TestCgroupLimit has the files of control groups as Linux shows them on hosts and in containers.
func TestCgroupLimit(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"none":            {nil, 0},
		"version 2, none": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		"version 2":       {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "134217728\n"}, 128 << 20},
		"version 2, parent": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "1000\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, 1000},
		"version 2, a container with the path of the host": {map[string]string{
			"proc/self/cgroup": "0::/kubepods/pod1/c1\n", "sys/fs/cgroup/memory.max": "2000\n"}, 2000},
		"version 1": {map[string]string{
			"proc/self/cgroup": "5:cpu:/x\n4:memory:/docker/1\n0::/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "3000\n"}, 3000},
		"version 1, none": {map[string]string{
			"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"a path that leaves": {map[string]string{"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/memory.max": "4000\n"}, 4000},
		"malformed":          {map[string]string{"proc/self/cgroup": "x\n0::\n", "sys/fs/cgroup/memory.max": "-1\n"}, 0},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			file = filepath.Join(root, file)
			os.MkdirAll(filepath.Dir(file), 0o700)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := cgroupLimit(root); got != c.want {
			t.Errorf("%s: got %d, expected %d", name, got, c.want)
		}
	}
}
