package importer

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strings"

	"sallyport/internal/strict"
)

var (
	o2pVariableLine = regexp.MustCompile(`(?m)^\s*(?:export\s+)?OAUTH2_PROXY_[A-Z0-9_]+=`)
	o2pFlagLine     = regexp.MustCompile(`(?m)(?:^|\s)--?[a-z][a-z0-9-]*(?:[=\s]|$)`)
	emailLine       = regexp.MustCompile(`^[^\s@=#]+@[^\s@=]+$`)
)

// read reads a source by its content: YAML, variables, flags, addresses, or the configuration file.
func (d *o2pDeployment) read(s Source) error {
	switch extension := strings.ToLower(path.Ext(s.Name)); {
	case s.Name == "command line":
		return d.readCommand(s)
	case extension == ".yaml" || extension == ".yml" || extension == ".json":
		return d.readYAML(s)
	case extension == ".toml" || extension == ".cfg":
		return d.readTOML(s)
	case o2pVariableLine.Match(s.Data):
		return d.readVariables(s)
	case isEmailList(s.Data):
		d.readEmails(s)
		return nil
	case looksLikeTOML(s.Data):
		return d.readTOML(s)
	case o2pFlagLine.Match(s.Data):
		return d.readCommand(s)
	}
	return d.readTOML(s)
}

// looksLikeTOML reports whether the first line with content is a key and a value.
func looksLikeTOML(data []byte) bool {
	first := regexp.MustCompile(`(?m)^\s*[^#\s].*$`).Find(data)
	return regexp.MustCompile(`^\s*[a-z][a-z0-9_]*\s*=`).Match(first)
}

// isEmailList reports whether every line is an e-mail address, as in an authenticated_emails_file.
func isEmailList(data []byte) bool {
	found := false
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if !emailLine.Match(line) {
			return false
		}
		found = true
	}
	return found
}

// readEmails reads the addresses of an authenticated_emails_file.
func (d *o2pDeployment) readEmails(s Source) {
	if d.emails == nil {
		d.emails = map[string][]string{}
	}
	name := path.Base(s.Name)
	for line := range strings.Lines(string(s.Data)) {
		if line = strings.ToLower(strings.TrimSpace(line)); line != "" && line[0] != '#' {
			d.emails[name] = append(d.emails[name], line)
		}
	}
}

// readVariables reads lines NAME=VALUE as a shell, docker or systemd reads them.
func (d *o2pDeployment) readVariables(s Source) error {
	for i, line := range strings.Split(string(s.Data), "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		name, value, found := strings.Cut(line, "=")
		if line == "" || line[0] == '#' || !found {
			continue
		}
		d.setVariable(strings.TrimSpace(name), unquote(strings.TrimSpace(value)), strict.Mark{File: s.Name, Line: i + 1})
	}
	return nil
}

// setVariable sets the option of an environment variable. Variables that aren't oauth2-proxy's are left alone.
func (d *o2pDeployment) setVariable(name, value string, place strict.Mark) {
	option, ours := strings.CutPrefix(name, "OAUTH2_PROXY_")
	if !ours || option == "CONFIG" || option == "ALPHA_CONFIG" {
		return
	}
	s := o2pSetting{values: []word{{value, place}}, rank: o2pEnvironment, place: place}
	if reference, ok := variableReference(value); ok {
		s.values, s.variable = nil, reference
	}
	d.set(strings.ToLower(option), s)
}

// unquote removes the quotes around a value.
func unquote(text string) string {
	if n := len(text); n > 1 && text[0] == text[n-1] && (text[0] == '"' || text[0] == '\'') {
		return text[1 : n-1]
	}
	return text
}

const variable = `([A-Za-z_][A-Za-z0-9_]*)`

var referenceText = regexp.MustCompile(`^\$(?:\{` + variable + `(?::?[-=?+][^}]*)?\}|\(` + variable + `\)|` + variable + `)$`)

// variableReference returns the name of the environment variable that a text as a whole names: ${NAME}, ${NAME:-default}, $NAME or $(NAME).
func variableReference(text string) (name string, ok bool) {
	m := referenceText.FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	return m[1] + m[2] + m[3], true
}

// readCommand reads a command line: flags, one or several on a line, with the quotes and the continuations of a shell. A systemd unit and a
// shell script are such files, too: only words that are flags count.
func (d *o2pDeployment) readCommand(s Source) error {
	words, err := shellWords(s)
	if err != nil {
		return err
	}
	return d.readFlags(words)
}

// readFlags reads flags as oauth2-proxy does: --name=value, --name value, and --switch.
func (d *o2pDeployment) readFlags(words []word) error {
	for i := 0; i < len(words); i++ {
		w := words[i]
		if !strings.HasPrefix(w.text, "-") || strings.Trim(w.text, "-") == "" {
			continue
		}
		name, value, has := strings.Cut(strings.TrimLeft(w.text, "-"), "=")
		option := o2pFlags[name]
		switch {
		case name == "config" || name == "alpha-config":
			if !has {
				i++
			}
			continue
		case option == nil:
			d.unknown["--"+name] = w.place
			continue
		case has:
		case option.onoff:
			value = "true"
		case i+1 < len(words):
			i++
			value = words[i].text
		default:
			return fmt.Errorf("%s: --%s needs a value", w.place, name)
		}
		d.setFlag(option, value, w.place)
	}
	return nil
}

// setFlag sets the option of a flag.
func (d *o2pDeployment) setFlag(option *o2pOption, value string, place strict.Mark) {
	s := o2pSetting{values: []word{{value, place}}, rank: o2pFlag, place: place}
	if reference, ok := variableReference(value); ok {
		s.values, s.variable = nil, reference
	}
	d.set(option.name, s)
}
