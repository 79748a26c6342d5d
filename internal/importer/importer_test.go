package importer

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/config"
)

// TestImport imports the files in testdata, and those of a folder together. For each, NAME.want has the configuration and the report. The
// gate must accept the configuration, and neither may have a secret of the file.
func TestImport(t *testing.T) {
	for _, system := range Systems() {
		names, err := filepath.Glob(filepath.Join("testdata", system, "*.want"))
		if err != nil || len(names) == 0 {
			t.Errorf("%s has no files in testdata: %v", system, err)
		}
		for _, want := range names {
			name := strings.TrimSuffix(want, ".want")
			t.Run(system+"/"+filepath.Base(name), func(t *testing.T) {
				sources := readSources(t, name)
				result, err := Import(system, sources)
				if err != nil {
					t.Fatal(err)
				}
				checkLoads(t, result, result.Config())
				checkLoads(t, result, append([]File{result.Single()}, result.Files...))
				got := text(result)
				for _, s := range sources {
					checkSecrets(t, string(s.Data), got)
				}
				if os.Getenv("UPDATE_IMPORTS") != "" {
					if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				compare(t, want, got)
			})
		}
	}
}

// readSources reads a file, or the files of a folder, which are imported together.
func readSources(t *testing.T, name string) (all []Source) {
	t.Helper()
	files := []string{name}
	if entries, err := os.ReadDir(name); err == nil {
		files = nil
		for _, e := range entries {
			files = append(files, filepath.Join(name, e.Name()))
		}
	}
	for _, file := range files {
		all = append(all, Source{filepath.Base(file), mustRead(t, file)})
	}
	return all
}

// compare compares an output with a file, line by line.
func compare(t *testing.T, file, got string) {
	t.Helper()
	want, lines := strings.Split(string(mustRead(t, file)), "\n"), strings.Split(got, "\n")
	for n, line := range lines {
		if n >= len(want) || want[n] != line {
			t.Fatalf("%s:%d differs; UPDATE_IMPORTS=1 writes it again. Got:\n%s", file, n+1, line)
		}
	}
	if len(want) > len(lines) {
		t.Fatalf("%s:%d: this line and those below it are missing", file, len(lines)+1)
	}
}

var (
	salted  = regexp.MustCompile(`\$argon2id\$\S+`)
	literal = regexp.MustCompile(`[a-z-]*literal[a-z-]*`) // secrets in testdata have this word
)

// text returns the configuration as one file, and the report.
func text(r *Result) string {
	var out strings.Builder
	out.WriteString(salted.ReplaceAllString(string(r.Single().Data), "ARGON2ID"))
	out.WriteString("-- report --\n")
	for _, n := range r.Notes {
		out.WriteString(n.String() + "\n")
	}
	for _, v := range r.Variables {
		out.WriteString("set " + v.Name + "\n")
	}
	for _, f := range r.Files {
		out.WriteString("file " + f.Name + "\n")
	}
	return out.String()
}

// checkSecrets checks that an output has no secret of the source.
func checkSecrets(t *testing.T, source, got string) {
	t.Helper()
	for _, secret := range literal.FindAllString(source, -1) {
		if strings.Contains(got, secret) {
			t.Errorf("the secret %s is written", secret)
		}
	}
}

// checkLoads checks that the gate accepts files of a result.
func checkLoads(t *testing.T, r *Result, files []File) {
	t.Helper()
	if err := load(t, r, files); err != nil {
		t.Errorf("the gate refuses the configuration:\n%v", err)
	}
}

// load loads files of a result as the gate does.
func load(t *testing.T, r *Result, files []File) error {
	t.Helper()
	folder := t.TempDir()
	for _, f := range files {
		name := filepath.Join(folder, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := config.FromFileIn(filepath.Join(folder, ProcessFile), r.Lookup).Load()
	return err
}

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
