package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// MustUnpack writes the files of an archive to a new folder, which becomes the working directory, and sets the variables in its file env.
func MustUnpack(t *testing.T, name string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	files := filesOf(string(data))
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(files["env"]) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		t.Setenv(key, value)
	}
	return files
}

// filesOf returns the files of an archive in the txtar format by name: a comment, then files, each after a line -- NAME --.
func filesOf(archive string) map[string]string {
	files, name := map[string]string{}, ""
	for line := range strings.Lines(archive) {
		if inner, found := strings.CutPrefix(line, "-- "); found && strings.HasSuffix(inner, " --\n") {
			name = strings.TrimSuffix(inner, " --\n")
			files[name] = ""
		} else if name != "" {
			files[name] += line
		}
	}
	return files
}

// archives returns the absolute paths of the archives in a folder.
func archives(t *testing.T, folder string) []string {
	names, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no archives in %s: %v", folder, err)
	}
	for i := range names {
		if names[i], err = filepath.Abs(names[i]); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// TestBad loads files with mistakes, and compares the complete error.
func TestBad(t *testing.T) {
	for _, name := range archives(t, "bad") {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			files := MustUnpack(t, name)
			_, err := Load("sallyport.yaml")
			if err == nil {
				t.Fatal("the file was accepted")
			}
			if got := err.Error() + "\n"; got != files["want"] {
				t.Errorf("got:\n%swant:\n%s", got, files["want"])
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error has a secret")
			}
		})
	}
}

// TestGood loads valid files, and compares their warnings.
func TestGood(t *testing.T) {
	for _, name := range archives(t, "good") {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			files := MustUnpack(t, name)
			f, err := Load("sallyport.yaml")
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, w := range f.Warnings() {
				got += w + "\n"
			}
			if got != files["want"] {
				t.Errorf("got warnings:\n%swant:\n%s", got, files["want"])
			}
		})
	}
}

// TestPrefixOfMappedAddress checks that IPv4 networks in the form of IPv6 become IPv4 networks.
func TestPrefixOfMappedAddress(t *testing.T) {
	for text, want := range map[string]string{"::ffff:10.0.0.0/104": "10.0.0.0/8", "::ffff:10.0.0.1": "10.0.0.1/32", "::/0": "::/0"} {
		var p Prefix
		if err := p.UnmarshalText([]byte(text)); err != nil || p.String() != want {
			t.Errorf("%s: got %s, %v, want %s", text, p, err, want)
		}
	}
}
