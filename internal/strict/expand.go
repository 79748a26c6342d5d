package strict

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sallyport/internal/check"
)

var (
	envName     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	vaultRef    = regexp.MustCompile(`^\{vault://([^/{}]*)/([^{}]*)\}$`)
	vaultEnvKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
)

// Expand replaces ${env:NAME} and ${file:/path} in a scalar, and reads Kong's {vault://env/NAME}; $${ is a literal ${. A
// relative path is relative to folder. What is put in is not looked at again. Errors name the variable or file, never
// what it holds; key is what they advise to write.
func Expand(text, key, folder string) (string, error) {
	if strings.Contains(text, "{vault://") {
		return vault(text, key)
	}
	var out strings.Builder
	for text != "" {
		at := strings.Index(text, "${")
		if at < 0 {
			break
		}
		if at > 0 && text[at-1] == '$' {
			out.WriteString(text[:at-1] + "${")
			text = text[at+2:]
			continue
		}
		out.WriteString(text[:at])
		name, rest, closed := strings.Cut(text[at+2:], "}")
		if !closed {
			return "", errors.New("${ isn't closed: write ${env:NAME} or ${file:/path}, or $${ for a literal ${")
		}
		s, err := lookup(name, folder)
		if err != nil {
			return "", err
		}
		out.WriteString(s)
		text = rest
	}
	return out.String() + text, nil
}

// lookup returns what ${name} stands for.
func lookup(name, folder string) (string, error) {
	source, arg, _ := strings.Cut(name, ":")
	switch {
	case source == "env" && envName.MatchString(arg):
		return environment(arg)
	case source == "file" && arg != "":
		if !filepath.IsAbs(arg) {
			arg = filepath.Join(folder, arg)
		}
		return fileText(arg)
	case envName.MatchString(name):
		return "", fmt.Errorf("${%s} isn't read: write ${env:%s}, or $${ for a literal ${", name, name)
	}
	return "", errors.New("a ${...} that isn't known: write ${env:NAME} or ${file:/path}, or $${ for a literal ${")
}

func environment(name string) (string, error) {
	s, ok := os.LookupEnv(name)
	if !ok {
		return "", fmt.Errorf("the environment variable %s isn't set: set it before the start", name)
	}
	return withoutNewline(s), nil
}

// fileText returns a file's text without one final newline. Only a regular file is read: a pipe would block.
func fileText(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", fmt.Errorf("${file:%s} can't be read: %w", name, check.Cause(err))
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("${file:%s} isn't a regular file", name)
	}
	data, err := check.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("${file:%s} can't be read: %w", name, err)
	}
	return withoutNewline(string(data)), nil
}

// vault reads Kong's reference to its environment vault, which turns a name into upper case and dashes into underscores.
// Other vaults aren't read.
func vault(text, key string) (string, error) {
	m := vaultRef.FindStringSubmatch(text)
	switch {
	case m == nil:
		return "", fmt.Errorf("{vault://...} must be the whole value: write %s: ${env:NAME} or %s: ${file:/path}", key, key)
	case m[1] != "env":
		return "", fmt.Errorf("the vault %s isn't read: have it write a file, and write %s: ${file:/path/of/the/file}", quote(m[1]), key)
	case !vaultEnvKey.MatchString(m[2]):
		return "", fmt.Errorf("a vault reference with more than a name isn't read: write %s: ${env:NAME}", key)
	}
	return environment(strings.ToUpper(strings.ReplaceAll(m[2], "-", "_")))
}
