package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

var (
	reference = regexp.MustCompile(`\$\$\{|\$\{([^}]*)\}`)
	vault     = regexp.MustCompile(`^\{vault://([^/}]+)/?([^}]*)\}$`)
)

// expand replaces ${env:NAME} and ${file:/path} in a scalar; $${ is a literal ${. The result is never read as YAML.
func expand(s string) (string, error) {
	if m := vault.FindStringSubmatch(s); m != nil {
		if m[1] != "env" {
			return "", fmt.Errorf("the vault %q isn't read: write ${file:/path/to/the/secret} or ${env:NAME}", m[1])
		}
		name := strings.ToUpper(strings.NewReplacer("-", "_", "/", "_").Replace(m[2]))
		return resolve("env:" + name)
	}
	var failed error
	out := reference.ReplaceAllStringFunc(s, func(found string) string {
		if found == "$${" {
			return "${"
		}
		value, err := resolve(found[2 : len(found)-1])
		if err != nil && failed == nil {
			failed = err
		}
		return value
	})
	if failed == nil && strings.Contains(reference.ReplaceAllString(s, ""), "${") {
		failed = fmt.Errorf("${ is never closed: write ${env:NAME} or ${file:/path}, or $${ for the letters themselves")
	}
	return out, failed
}

// resolve reads one reference. A file is read anew at every load; one final newline of it is cut.
func resolve(ref string) (string, error) {
	kind, name, _ := strings.Cut(ref, ":")
	switch kind {
	case "env":
		value, set := os.LookupEnv(name)
		if !set {
			return "", fmt.Errorf("the environment variable %s isn't set", name)
		}
		return value, nil
	case "file":
		b, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("the file %s can't be read", name)
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
	}
	return "", fmt.Errorf("${%s} isn't known: write ${env:NAME} or ${file:/path}, or $${ for the letters themselves", ref)
}
