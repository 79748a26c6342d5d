package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func mustWrite(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFiles checks which files a Source names: also those that are missing, and of a configuration with a mistake; but none that the gate
// reads again by itself.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key := mustWriteCertificate(t, dir)
	mustWrite(t, dir, "gate.yaml", "routes: [routes/*/*.yaml, more/*.yaml]\npages: pages\nadmin: {token: '${file:token}'}\n")
	mustWrite(t, dir, "pages/404.html", "{{.RequestID}}")
	mustWrite(t, dir, "routes/x/a.yaml", "route: {upstream: {url: 'https://a', ca_file: ca.pem, client_cert_file: "+cert+
		", client_key_file: "+key+"}}\n")
	s := FromFile(filepath.Join(dir, "gate.yaml"))
	if _, err := s.Load(); err == nil {
		t.Error("it loads without the token")
	}
	want := []string{
		"gate.yaml", "more", "pages", "pages/404.html", "routes", "routes/x", "routes/x/a.yaml", "routes/x/ca.pem", "token",
	}
	for i := range want {
		want[i] = filepath.Join(dir, want[i])
	}
	if got := s.Files(); !slices.Equal(got, want) {
		t.Errorf("%q, expected %q", got, want)
	}
}

func TestChanged(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, dir, "gate.yaml", "routes: routes/*.yaml\nadmin: {token: '${file:token}'}\n")
	mustWrite(t, dir, "routes/a.yaml", "route: {upstream: 'http://a'}\nrules: [{auth: off}]")
	mustWrite(t, dir, "token", "one")
	s := FromFile(filepath.Join(dir, "gate.yaml"))
	mustLoad := func() {
		t.Helper()
		if _, err := s.Load(); err != nil {
			t.Fatal(err)
		}
		if s.Changed() {
			t.Error("it has changed after Load")
		}
	}
	mustLoad()
	for _, c := range []struct {
		name   string
		change func()
	}{
		{"contents", func() { mustWrite(t, dir, "token", "two") }},
		{"a new file", func() {
			mustWrite(t, dir, "routes/b.yaml", "route: {upstream: 'http://b', hosts: [b]}\nrules: [{auth: off}]")
		}},
		{"a new name", func() { mustWrite(t, dir, "routes/notes", "") }},
		{"removed", func() { os.Remove(filepath.Join(dir, "routes/notes")) }},
		{"the main file", func() { mustWrite(t, dir, "gate.yaml", "routes: routes/*.yaml\n") }},
	} {
		if c.change(); !s.Changed() {
			t.Errorf("%s: it hasn't changed", c.name)
		}
		mustLoad()
	}
	for name, change := range map[string]func(){
		"the same contents": func() { mustWrite(t, dir, "routes/a.yaml", "route: {upstream: 'http://a'}\nrules: [{auth: off}]") },
		"a hidden file":     func() { mustWrite(t, dir, "routes/.a.yaml.swp", "x") },
		"another file":      func() { mustWrite(t, dir, "log", "x") },
	} {
		if change(); s.Changed() {
			t.Errorf("%s: it has changed", name)
		}
	}
}

// TestAChangeMeanwhile checks that files that change while they are read are read again.
func TestAChangeMeanwhile(t *testing.T) {
	dir, loads := t.TempDir(), 0
	mustWrite(t, dir, "a", "0")
	s := &Source{load: func() (*File, []string, error) {
		if loads++; loads <= 2 {
			mustWrite(t, dir, "a", string(rune('0'+loads)))
		}
		return &File{Name: string(rune('0' + loads))}, []string{filepath.Join(dir, "a")}, nil
	}}
	file, err := s.Load()
	if err != nil || file.Name != "3" || s.Changed() {
		t.Errorf("the load %s counts, of %d, expected 3", file.Name, loads)
	}
}
