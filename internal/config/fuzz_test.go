package config

import (
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/strict"
)

// FuzzLoad checks that Load returns a complete file or problems with their places, and never panics.
func FuzzLoad(f *testing.F) {
	for _, folder := range []string{"bad", "good"} {
		names, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add([]byte(filesOf(string(data))["sallyport.yaml"]))
		}
	}
	name := filepath.Join(f.TempDir(), "sallyport.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := Load(name)
		if err == nil {
			if len(file.Routes) == 0 || len(file.Listen) == 0 || len(file.Routes[0].Route.Paths) == 0 {
				t.Errorf("accepted, and incomplete: %+v", file)
			}
			return
		}
		for _, p := range err.(strict.Problems) {
			if p.File == "" || p.Text == "" || p.Line < 0 {
				t.Errorf("a problem without place or text: %+v", p)
			}
		}
	})
}
