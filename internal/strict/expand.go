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

// Expand replaces ${env:NAME} and ${file:/path} in a text, and Kong's {vault://env/NAME} if it is the whole text. $${ is a literal ${.
// A relative path is relative to folder. The values that it inserts are not expanded again. Its errors have the name of the variable or
// the file, never the value. The key is the setting's, for the advice in errors.
func (r *Report) Expand(text, key, folder string) (string, error) {
	if strings.Contains(text, "{vault://") {
		return r.vault(text, key)
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
		s, err := r.lookup(name, folder)
		if err != nil {
			return "", err
		}
		out.WriteString(s)
		text = rest
	}
	return out.String() + text, nil
}

// lookup returns the value of ${name}.
func (r *Report) lookup(name, folder string) (string, error) {
	source, arg, _ := strings.Cut(name, ":")
	switch {
	case source == "env" && envName.MatchString(arg):
		return r.environment(arg)
	case source == "file" && arg != "":
		if !filepath.IsAbs(arg) {
			arg = filepath.Join(folder, arg)
		}
		r.Uses(arg)
		return fileText(arg)
	case envName.MatchString(name):
		return "", fmt.Errorf("${%s} has no source: write ${env:%s}, or $${ for a literal ${", name, name)
	}
	return "", errors.New("unknown ${...}: write ${env:NAME} or ${file:/path}, or $${ for a literal ${")
}

// environment returns the value of an environment variable without one final newline.
func (r *Report) environment(name string) (string, error) {
	lookup := r.Environment
	if lookup == nil {
		lookup = os.LookupEnv
	}
	s, ok := lookup(name)
	if !ok {
		return "", fmt.Errorf("the environment variable %s isn't set: set it before the start", name)
	}
	return withoutNewline(s), nil
}

// fileText returns the text of a regular file without one final newline. It refuses other files, because a pipe would block.
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

// vault expands a reference to Kong's environment vault. As Kong does, it changes the name to upper case and dashes to underscores. Other
// vaults aren't supported.
func (r *Report) vault(text, key string) (string, error) {
	m := vaultRef.FindStringSubmatch(text)
	switch {
	case m == nil:
		return "", fmt.Errorf("{vault://...} must be the whole value: write %s: ${env:NAME} or %s: ${file:/path}", key, key)
	case m[1] != "env":
		return "", fmt.Errorf("the vault %s isn't supported: let it write a file, and write %s: ${file:/path/of/the/file}",
			quote(m[1]), key)
	case !vaultEnvKey.MatchString(m[2]):
		return "", fmt.Errorf("only the name of a variable is supported in a vault reference: write %s: ${env:NAME}", key)
	}
	return r.environment(strings.ToUpper(strings.ReplaceAll(m[2], "-", "_")))
}
