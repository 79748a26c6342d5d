package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/strict"
)

// A Source reads a configuration. It can be called again, for a reload. Its error is Problems: everything that is wrong.
type Source func() (*File, error)

// FromFile reads the configuration from a file.
func FromFile(name string) Source {
	return func() (*File, error) { return Load(name) }
}

// FromReader reads the text of a configuration once, of at most 1 MiB, and the files and variables that it names at each call.
// Relative paths in it are relative to the working directory.
func FromReader(in io.Reader) Source {
	data, err := check.ReadLimited(in)
	return func() (*File, error) {
		return load(standardInput, false, func(r *strict.Report) *strict.Value {
			if err != nil {
				r.Problemf(strict.Mark{standardInput, 0}, "it can't be read: %v", err)
				return nil
			}
			return r.Parse(standardInput, data)
		})
	}
}

// FromEnvironment reads the configuration of one route from environment variables alone.
func FromEnvironment() Source {
	return func() (*File, error) {
		return load(environs, true, func(*strict.Report) *strict.Value {
			return &strict.Value{Mark: strict.Mark{environs, 0}, Kind: strict.Mapping}
		})
	}
}

// What stands for a file's name in messages.
const (
	standardInput = "stdin"
	environs      = "environment"
)

// InEnvironment reports whether environment variables name a route, so that FromEnvironment has something to read.
func InEnvironment() bool { return variableOf("SALLYPORT_UPSTREAM") != nil }

// A variable is an environment variable that stands for a setting.
type variable struct {
	name  string
	path  []string // of the setting's keys
	list  bool     // several values, separated by commas
	alone bool     // it counts only where no file is read
}

// variables are all that are read. Those of the process stand in for defaults, and what a file says wins: an image sets its
// listeners by them. The others are a whole configuration for one route.
var variables = []variable{
	{name: "SALLYPORT_LISTEN", path: []string{"listen"}},
	{name: "SALLYPORT_ADMIN_LISTEN", path: []string{"admin", "listen"}},
	{name: "SALLYPORT_TRUSTED_PROXIES", path: []string{"trusted_proxies"}, list: true},
	{name: "SALLYPORT_UPSTREAM", path: []string{"route", "upstream"}, alone: true},
	{name: "SALLYPORT_PUBLIC_URL", path: []string{"route", "public_url"}, alone: true},
	{name: "SALLYPORT_ISSUER", path: []string{"oidc", "issuer"}, alone: true},
	{name: "SALLYPORT_CLIENT_ID", path: []string{"oidc", "client_id"}, alone: true},
	{name: "SALLYPORT_CLIENT_SECRET", path: []string{"oidc", "client_secret"}, alone: true},
	{name: "SALLYPORT_SCOPES", path: []string{"oidc", "scopes"}, list: true, alone: true},
	{name: "SALLYPORT_AUTH_METHODS", path: []string{"oidc", "auth_methods"}, list: true, alone: true},
	{name: "SALLYPORT_SESSION_SECRET", path: []string{"oidc", "session_secret"}, alone: true},
}

// ofService matches what Kubernetes and Docker put into the environment for a service that is called sallyport.
var ofService = regexp.MustCompile(`^SALLYPORT_(SERVICE_|PORT$|PORT_|ENV_|NAME$)`)

// environment adds to the root of a configuration what environment variables say and root doesn't. Alone means that there is
// no file: then every variable counts, and one that looks like ours and isn't is warned of. Beside a file it may be one that
// the file refers to.
func environment(r *strict.Report, root *strict.Value, alone bool) {
	for i := range variables {
		v := &variables[i]
		if set := variableOf(v.name); set != nil && (alone || !v.alone) {
			fill(root, v.path, v.split(set))
		}
	}
	if alone {
		unknownVariables(r)
	}
}

// variableOf returns a variable's value as a scalar that refers to it, so that it is read like any ${env:NAME} or ${file:PATH};
// nil if neither it nor NAME_FILE is set. A variable that is set to nothing isn't set.
func variableOf(name string) *strict.Value {
	if os.Getenv(name) != "" {
		return &strict.Value{Mark: strict.Mark{"$" + name, 0}, Kind: strict.Scalar, Text: "${env:" + name + "}"}
	}
	if file := os.Getenv(name + fileSuffix); file != "" {
		return &strict.Value{Mark: strict.Mark{"$" + name + fileSuffix, 0}, Kind: strict.Scalar, Text: "${file:" + file + "}"}
	}
	return nil
}

// fileSuffix ends the name of a variable that holds the path of a file with the value.
const fileSuffix = "_FILE"

// split makes the value of a list of its parts.
func (v *variable) split(set *strict.Value) *strict.Value {
	text, inFile := os.LookupEnv(v.name)
	if !v.list || !inFile {
		return set
	}
	out := &strict.Value{Mark: set.Mark, Kind: strict.List}
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		out.Items = append(out.Items, &strict.Value{Mark: set.Mark, Kind: strict.Scalar, Text: strings.ReplaceAll(part, "${", "$${")})
	}
	return out
}

// fill puts a value at a path below v, unless there is one.
func fill(v *strict.Value, path []string, at *strict.Value) {
	p := v.Get(path[0])
	switch {
	case p == nil && len(path) == 1:
		v.Put(strict.Pair{at.Mark, path[0], at})
	case p == nil:
		below := &strict.Value{Mark: v.Mark, Kind: strict.Mapping}
		fill(below, path[1:], at)
		v.Put(strict.Pair{v.Mark, path[0], below})
	case len(path) > 1 && p.Value.Kind == strict.Mapping:
		fill(p.Value, path[1:], at)
	case len(path) > 1 && p.Value.Null:
		p.Value = &strict.Value{Mark: p.Mark, Kind: strict.Mapping}
		fill(p.Value, path[1:], at)
	}
}

// unknownVariables reports variables that look like ours and that nothing reads.
func unknownVariables(r *strict.Report) {
	var names []string
	for _, v := range variables {
		names = append(names, v.name, v.name+fileSuffix)
	}
	for _, entry := range os.Environ() {
		name, text, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "SALLYPORT_") && text != "" && !slices.Contains(names, name) && !ofService.MatchString(name) {
			r.Warningf(strict.Mark{"$" + name, 0}, "no setting is read from this variable%s", didYouMean(name, names))
		}
	}
}

func didYouMean(name string, names []string) string {
	if near := check.Nearest(name, names); near != "" {
		return ", did you mean " + near + "?"
	}
	return ": a configuration file can read any, as in client_id: ${env:NAME}"
}

// AdminAddress returns admin.listen of the file of a name, or what stands in for it if there is no such file, in the form
// host:port for a client on this machine. Nothing else of the file is judged.
func AdminAddress(name string) (string, error) {
	r, root := &strict.Report{Hints: hints}, &strict.Value{Kind: strict.Mapping}
	if _, err := os.Stat(name); name != "" && !errors.Is(err, os.ErrNotExist) {
		if root = r.Read(name); root == nil {
			return "", r.Err()
		}
	}
	environment(r, root, false)
	address := "127.0.0.1:9000"
	if admin := root.Get("admin"); admin != nil && admin.Value.Kind == strict.Mapping {
		if listen := admin.Value.Get("listen"); listen != nil && listen.Value.Kind == strict.Scalar && !listen.Value.Null {
			text, err := strict.Expand(listen.Value.Text, "admin.listen", ".")
			if err != nil {
				return "", fmt.Errorf("%s: admin.listen: %w", listen.Mark, err)
			}
			address = text
		}
	}
	if address == "off" {
		return "", errors.New("admin.listen is off, so nothing can be asked: write admin: {listen: 127.0.0.1:9000}")
	}
	return address, nil
}
