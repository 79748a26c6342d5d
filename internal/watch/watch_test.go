package watch

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A volume is a folder as Kubernetes mounts a ConfigMap: the files are links into ..data, which is a link to a folder with a time in its
// name.
func volume(t *testing.T, dir, generation string) {
	t.Helper()
	must(t, os.Mkdir(filepath.Join(dir, generation), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, generation, "a.yaml"), []byte(generation), 0o600))
	must(t, os.Symlink(generation, filepath.Join(dir, "..new")))
	must(t, os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")))
	if err := os.Symlink("..data/a.yaml", filepath.Join(dir, "a.yaml")); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
}

func TestChanges(t *testing.T) {
	write := func(t *testing.T, name string) { must(t, os.WriteFile(name, []byte("x"), 0o600)) }
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
		watched string
		change  func(t *testing.T, dir string)
	}{
		{
			"write", func(t *testing.T, dir string) { write(t, dir+"/a") }, "a",
			func(t *testing.T, dir string) { write(t, dir+"/a") },
		},
		{
			"replaced", func(t *testing.T, dir string) { write(t, dir+"/a"); write(t, dir+"/b") }, "a",
			func(t *testing.T, dir string) { must(t, os.Rename(dir+"/b", dir+"/a")) },
		},
		{
			"removed", func(t *testing.T, dir string) { write(t, dir+"/a") }, "a",
			func(t *testing.T, dir string) { must(t, os.Remove(dir+"/a")) },
		},
		{
			"created", func(*testing.T, string) {}, "a",
			func(t *testing.T, dir string) { write(t, dir+"/a") },
		},
		{
			"created with its folders", func(*testing.T, string) {}, "x/y/a",
			func(t *testing.T, dir string) { must(t, os.MkdirAll(dir+"/x/y", 0o700)); write(t, dir+"/x/y/a") },
		},
		{
			"a new file in a folder", func(t *testing.T, dir string) { must(t, os.Mkdir(dir+"/routes", 0o700)) }, "routes",
			func(t *testing.T, dir string) { write(t, dir+"/routes/b") },
		},
		{
			"a volume of Kubernetes", func(t *testing.T, dir string) { volume(t, dir, "..2026_1") }, "a.yaml",
			func(t *testing.T, dir string) { volume(t, dir, "..2026_2") },
		},
		{
			"the target of a link elsewhere",
			func(t *testing.T, dir string) {
				must(t, os.Mkdir(dir+"/far", 0o700))
				write(t, dir+"/far/a")
				must(t, os.Symlink("far/a", dir+"/a"))
			}, "a",
			func(t *testing.T, dir string) { write(t, dir+"/far/a") },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.prepare(t, dir)
			w := New(t.Context(), slog.New(slog.DiscardHandler))
			w.Set(t.Context(), []string{filepath.Join(dir, c.watched)})
			<-w.Changes() // it is watched now
			c.change(t, dir)
			select {
			case <-w.Changes():
			case <-time.After(interval / 2): // earlier than without events
				t.Error("the change wasn't seen")
			}
		})
	}
}

// TestNoChange checks that other files in the folder of a watched one cause no signal, and that several writes cause one.
func TestNoChange(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := t.TempDir()
	w := New(ctx, slog.New(slog.DiscardHandler))
	watched := []string{filepath.Join(dir, "a")}
	w.Set(ctx, watched)
	<-w.Changes() // it is watched now
	must(t, os.WriteFile(filepath.Join(dir, "log"), []byte("x"), 0o600))
	select {
	case <-w.Changes():
		t.Error("a file that isn't watched causes a signal")
	case <-time.After(5 * settle):
	}
	for n := range 5 {
		must(t, os.WriteFile(watched[0], []byte{byte(n)}, fs.FileMode(0o600)))
	}
	<-w.Changes()
	select {
	case <-w.Changes():
		t.Error("five writes at once cause more than one signal")
	case <-time.After(5 * settle):
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
