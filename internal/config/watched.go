package config

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strings"

	"sallyport/internal/strict"
)

// A Source loads a configuration, again and again. It isn't safe for concurrent use.
type Source struct {
	load  func() (*File, []string, error)
	files []string // of the last load
	state state    // of files
}

func newSource(name string, noFile bool, read func(*strict.Report) *strict.Value) *Source {
	return &Source{load: func() (*File, []string, error) { return load(name, noFile, read) }}
}

// A state is a digest of files: of their contents, and of the names in folders.
type state [sha256.Size]byte

// maxLoads bounds the loads of one call of Load.
const maxLoads = 5

// Load returns the configuration. It reads the files again if they change meanwhile, so that the configuration isn't made of old and new
// ones. Its error is strict.Problems.
func (s *Source) Load() (file *File, err error) {
	for range maxLoads {
		before, known := s.state, s.files
		var files []string
		file, files, err = s.load()
		slices.Sort(files)
		s.files, s.state = files, stateOf(files)
		if slices.Equal(files, known) && s.state == before {
			break
		}
	}
	return file, err
}

// Files returns the files and folders that the last Load has read or looked for, sorted. It leaves out files that are read again when they
// change, without a reload.
func (s *Source) Files() []string { return s.files }

// Changed reports whether Files differ from what the last Load has read.
func (s *Source) Changed() bool { return stateOf(s.files) != s.state }

func stateOf(files []string) (s state) {
	h := sha256.New()
	for _, name := range files {
		fmt.Fprintf(h, "%q ", name)
		writeState(h, name)
	}
	h.Sum(s[:0])
	return s
}

// maxWatched is the size up to which the contents of a file count, in bytes. Of a larger file, which the gate doesn't read, the size and
// the time count.
const maxWatched = 16 << 20

// writeState writes what the state of a file depends on: its contents; of a folder, the names in it that aren't hidden.
func writeState(h hash.Hash, name string) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		fmt.Fprintln(h, "absent")
	case info.IsDir():
		entries, _ := os.ReadDir(name)
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				fmt.Fprintf(h, "%q ", e.Name())
			}
		}
	case !info.Mode().IsRegular() || info.Size() > maxWatched:
		fmt.Fprintln(h, info.Mode(), info.Size(), info.ModTime())
	default:
		f, err := os.Open(name)
		if err != nil {
			fmt.Fprintln(h, "unreadable")
			return
		}
		defer f.Close()
		fmt.Fprint(h, "contents ")
		sum := sha256.New()
		_, err = io.Copy(sum, io.LimitReader(f, maxWatched))
		fmt.Fprintf(h, "%x %t ", sum.Sum(nil), err == nil)
	}
}
