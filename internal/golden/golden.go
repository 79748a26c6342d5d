// Package golden reads what earlier versions of the gate have stored, for tests that open it with today's code. The records of one format
// are in one file of testdata/stored, which is never changed: a new format has a new file, and both must open.
//
// go test -run TestStored -write-stored writes the files that don't exist.
package golden

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var write = flag.Bool("write-stored", false, "write the files of stored records that don't exist")

// A File has the stored values of one version, by name.
type File struct {
	t      testing.TB
	name   string
	values map[string]json.RawMessage
}

// Open opens testdata/stored/VERSION.json. With -write-stored, if the file doesn't exist, it writes one with what make puts into it.
func Open(t testing.TB, version string, make func(*File)) *File {
	t.Helper()
	f := &File{t: t, name: filepath.Join("testdata/stored", version+".json"), values: map[string]json.RawMessage{}}
	content, err := os.ReadFile(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && *write:

		make(f)
		f.save()
	case err != nil:
		t.Fatalf("%v: go test -run TestStored -write-stored writes what is stored now", err)
	default:
		if err := json.Unmarshal(content, &f.values); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
	}
	return f
}

// save writes the file.
func (f *File) save() {
	f.t.Helper()
	content, err := json.MarshalIndent(f.values, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(f.name), 0o755)
	}
	if err == nil {
		err = os.WriteFile(f.name, append(content, '\n'), 0o644)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// Put stores a value as JSON; bytes become base64.
func (f *File) Put(name string, value any) {
	f.t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		f.t.Fatal(err)
	}
	f.values[name] = content
}

// Get reads a value that Put has stored.
func (f *File) Get(name string, to any) {
	f.t.Helper()
	content, ok := f.values[name]
	if !ok {
		f.t.Fatalf("%s has no %s", f.name, name)
	}
	if err := json.Unmarshal(content, to); err != nil {
		f.t.Fatalf("%s: %s: %v", f.name, name, err)
	}
}

// Text reads a string.
func (f *File) Text(name string) (text string) {
	f.t.Helper()
	f.Get(name, &text)
	return text
}

// Bytes reads bytes.
func (f *File) Bytes(name string) (b []byte) {
	f.t.Helper()
	f.Get(name, &b)
	return b
}

// Time reads a time, such as the one at which the file was written: records expire.
func (f *File) Time(name string) (at time.Time) {
	f.t.Helper()
	f.Get(name, &at)
	return at
}
