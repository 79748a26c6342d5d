package cache

import (
	"os"
	"path/filepath"
	"testing"
)

type server struct {
	Host   string `yaml:"host"`
	CAFile string `yaml:"ca_file"`
}

type client struct {
	server
	Cluster   *server  `yaml:"cluster"`
	Secrets   []secret `yaml:"secrets"`
	Assertion []string `yaml:"client_assertion_file"`
}

type secret string

func (secret) String() string { return "redacted" }

// TestKeyOfSettings checks that the key depends on every value, on the secret, and only where asked for on the contents of files.
func TestKeyOfSettings(t *testing.T) {
	dir := t.TempDir()
	outer, inner, list := filepath.Join(dir, "outer"), filepath.Join(dir, "inner"), filepath.Join(dir, "list")
	settings := func() client {
		return client{server{"a", outer}, &server{"b", inner}, []secret{"s"}, []string{list}}
	}
	before, beforeFiles := KeyOfSettings(nil, settings()), KeyOfSettingsAndFiles(nil, settings())
	for name, change := range map[string]func(*client){
		"a host":              func(c *client) { c.Host = "b" },
		"a file's name":       func(c *client) { c.CAFile = inner },
		"a pointer":           func(c *client) { c.Cluster = nil },
		"behind a pointer":    func(c *client) { c.Cluster.Host = "c" },
		"a secret":            func(c *client) { c.Secrets[0] = "t" },
		"the secrets' number": func(c *client) { c.Secrets = append(c.Secrets, "") },
	} {
		c := settings()
		if change(&c); KeyOfSettings(nil, c) == before || KeyOfSettingsAndFiles(nil, c) == beforeFiles {
			t.Errorf("%s: other settings have the same key", name)
		}
	}
	if KeyOfSettings([]byte("s"), settings()) == before {
		t.Error("another secret makes the same key")
	}
	for _, c := range []struct {
		file    string
		counted bool
	}{{outer, true}, {inner, true}, {list, false}} {
		last := KeyOfSettingsAndFiles(nil, settings())
		if err := os.WriteFile(c.file, []byte("contents"), 0o600); err != nil {
			t.Fatal(err)
		}
		if changed := KeyOfSettingsAndFiles(nil, settings()) != last; changed != c.counted {
			t.Errorf("%s: the key changed with the file: %v, expected %v", c.file, changed, c.counted)
		}
		if KeyOfSettings(nil, settings()) != before {
			t.Errorf("%s: KeyOfSettings reads a file", c.file)
		}
	}
}
