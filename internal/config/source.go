package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/strict"
)

// FromFile returns a Source that loads a file.
func FromFile(name string) *Source {
	return newSource(name, false, func(r *strict.Report) *strict.Value { return r.Read(name) })
}

// FromFileIn returns a Source that loads a file with the environment variables that lookup returns, as os.LookupEnv does.
func FromFileIn(name string, lookup func(string) (string, bool)) *Source {
	return newSource(name, false, func(r *strict.Report) *strict.Value {
		r.Environment = lookup
		return r.Read(name)
	})
}

// FromReader reads a configuration of at most 1 MiB to its end. Load of the Source reads the files and variables that it names.
// Relative paths are relative to the working directory.
func FromReader(in io.Reader) *Source {
	data, err := check.ReadLimited(in)
	return newSource(stdinName, false, func(r *strict.Report) *strict.Value {
		if err != nil {
			r.Problemf(strict.Mark{File: stdinName}, "it can't be read: %v", err)
			return nil
		}
		return r.Parse(stdinName, data)
	})
}

// FromEnvironment returns a Source of one route that is configured by environment variables alone.
func FromEnvironment() *Source {
	return newSource(environmentName, true, func(*strict.Report) *strict.Value {
		return strict.NewMapping(strict.Mark{File: environmentName})
	})
}

// The names of sources without a file, for messages.
const (
	stdinName       = "stdin"
	environmentName = "environment"
)

// InEnvironment reports whether environment variables configure a route, for FromEnvironment.
func InEnvironment() bool { return variableOf("SALLYPORT_UPSTREAM") != nil }

// A variable is an environment variable for a setting.
type variable struct {
	name   string
	path   string // the keys of the setting, joined with dots
	list   bool   // values are separated by commas or spaces
	noFile bool   // used only without a file
}

// variables are the environment variables of the gate. Those of the process replace defaults, and a file takes precedence: a container
// image sets its listeners with them. The others configure one route without a file.
var variables = []variable{
	{name: "SALLYPORT_LISTEN", path: "listen"},
	{name: "SALLYPORT_ADMIN_LISTEN", path: "admin.listen"},
	{name: "SALLYPORT_TRUSTED_PROXIES", path: "trusted_proxies", list: true},
	{name: "SALLYPORT_UPSTREAM", path: "route.upstream", noFile: true},
	{name: "SALLYPORT_PUBLIC_URL", path: "route.public_url", noFile: true},
	{name: "SALLYPORT_ISSUER", path: "oidc.issuer", noFile: true},
	{name: "SALLYPORT_CLIENT_ID", path: "oidc.client_id", noFile: true},
	{name: "SALLYPORT_CLIENT_SECRET", path: "oidc.client_secret", noFile: true},
	{name: "SALLYPORT_SCOPES", path: "oidc.scopes", list: true, noFile: true},
	{name: "SALLYPORT_AUTH_METHODS", path: "oidc.auth_methods", list: true, noFile: true},
	{name: "SALLYPORT_SESSION_SECRET", path: "oidc.session_secret", noFile: true},
}

// serviceVariable matches the variables that Kubernetes and Docker set for a service with the name sallyport.
var serviceVariable = regexp.MustCompile(`^SALLYPORT_(SERVICE_|PORT$|PORT_|ENV_|NAME$)`)

// environment adds the values of environment variables that root doesn't have. If noFile is true, it uses all variables, and warns of
// unknown ones that begin with SALLYPORT_. With a file it doesn't warn, because the file can refer to such variables.
func environment(r *strict.Report, root *strict.Value, noFile bool) {
	for i := range variables {
		v := &variables[i]
		if set := variableOf(v.name); set != nil && (noFile || !v.noFile) {
			putAt(root, strings.Split(v.path, "."), v.split(set))
		}
	}
	if noFile {
		unknownVariables(r)
	}
}

// variableOf returns the value of a variable as the scalar ${env:NAME}, or ${file:PATH} if NAME_FILE is set, so that it is expanded like
// any other value. It returns nil if both are empty or not set.
func variableOf(name string) *strict.Value {
	if os.Getenv(name) != "" {
		return &strict.Value{Mark: strict.Mark{File: "$" + name}, Kind: strict.Scalar, Text: "${env:" + name + "}"}
	}
	if file := os.Getenv(name + fileSuffix); file != "" {
		return &strict.Value{Mark: strict.Mark{File: "$" + name + fileSuffix}, Kind: strict.Scalar, Text: "${file:" + file + "}"}
	}
	return nil
}

// fileSuffix is the end of the name of a variable whose value is the path of a file with the setting's value.
const fileSuffix = "_FILE"

// split returns the elements of a list as a list. The value of another variable, or one from a file, is returned as it is.
func (v *variable) split(set *strict.Value) *strict.Value {
	text, ok := os.LookupEnv(v.name)
	if !v.list || !ok {
		return set
	}
	out := &strict.Value{Mark: set.Mark, Kind: strict.List}
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		out.Items = append(out.Items, &strict.Value{Mark: set.Mark, Kind: strict.Scalar, Text: strings.ReplaceAll(part, "${", "$${")})
	}
	return out
}

// putAt puts a value at a path below v, unless v has a value there.
func putAt(v *strict.Value, path []string, value *strict.Value) {
	p := v.Get(path[0])
	switch {
	case p == nil && len(path) == 1:
		v.Put(strict.Pair{Mark: value.Mark, Key: path[0], Value: value})
	case p == nil:
		below := strict.NewMapping(v.Mark)
		putAt(below, path[1:], value)
		v.Put(strict.Pair{Mark: v.Mark, Key: path[0], Value: below})
	case len(path) > 1 && p.Value.Kind == strict.Mapping:
		putAt(p.Value, path[1:], value)
	case len(path) > 1 && p.Value.Null:
		p.Value = strict.NewMapping(p.Mark)
		putAt(p.Value, path[1:], value)
	}
}

// unknownVariables warns of variables that begin with SALLYPORT_ and that the gate doesn't read.
func unknownVariables(r *strict.Report) {
	var names []string
	for _, v := range variables {
		names = append(names, v.name, v.name+fileSuffix)
	}
	for _, entry := range os.Environ() {
		name, text, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "SALLYPORT_") && text != "" && !slices.Contains(names, name) && !serviceVariable.MatchString(name) {
			r.Warningf(strict.Mark{File: "$" + name}, "no setting is read from this variable%s", didYouMean(name, names))
		}
	}
}

// didYouMean returns the advice for an unknown variable.
func didYouMean(name string, names []string) string {
	if near := check.Nearest(name, names); near != "" {
		return ", did you mean " + near + "?"
	}
	return ": a configuration file can read any, as in client_id: ${env:NAME}"
}

// AdminAddress returns admin.listen of a file, or the environment's or default value if the file doesn't exist or doesn't have the key. It
// checks nothing else in the file. It returns an error if the value is off.
func AdminAddress(name string) (string, error) {
	address, err := adminSetting(name, "listen", "127.0.0.1:9000")
	if address == "off" {
		return "", errors.New("admin.listen is off, so the gate can't be asked: write admin: {listen: 127.0.0.1:9000}")
	}
	return address, err
}

// AdminToken returns admin.token of a file, or "" if the file doesn't exist or doesn't have the key. It checks nothing else in the file.
func AdminToken(name string) (auth.Secret, error) {
	token, err := adminSetting(name, "token", "")
	return auth.Secret(token), err
}

// adminSetting returns a setting below admin of a file, or of the environment, or its default value.
func adminSetting(name, key, usual string) (string, error) {
	r, root := &strict.Report{Hints: hints}, &strict.Value{Kind: strict.Mapping}
	if _, err := os.Stat(name); name != "" && !errors.Is(err, os.ErrNotExist) {
		if root = r.Read(name); root == nil {
			return "", r.Err()
		}
	}
	environment(r, root, false)
	admin := root.Get("admin")
	if admin == nil || admin.Value.Kind != strict.Mapping {
		return usual, nil
	}
	set := admin.Value.Get(key)
	if set == nil || set.Value.Kind != strict.Scalar || set.Value.Null {
		return usual, nil
	}
	text, err := r.Expand(set.Value.Text, "admin."+key, filepath.Dir(name))
	if err != nil {
		return "", fmt.Errorf("%s: admin.%s: %w", set.Mark, key, err)
	}
	return text, nil
}

// Variables returns the names of the environment variables, each with the setting that it sets.
func Variables() (all [][2]string) {
	for _, v := range variables {
		means := "The setting " + v.path + "."
		if v.noFile {
			means += " It isn't read with -c."
		}
		all = append(all, [2]string{v.name, means})
	}
	return all
}
