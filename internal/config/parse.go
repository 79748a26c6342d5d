package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// parse reads one file into nodes. What is valid YAML and no good configuration (anchors, merge keys, tags, a second
// document, duplicate keys) is a problem with its place.
func (r *reader) parse(name string) *yaml.Node {
	b, err := readFile(name)
	if err != nil {
		r.problems = append(r.problems, Problem{File: name, Line: 1, Text: err.Error()})
		return nil
	}
	var doc, second yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&doc); err != nil {
		r.problems = append(r.problems, syntaxProblem(name, err))
		return nil
	}
	root := doc.Content[0]
	r.adopt(root, name)
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		r.fail(root, "the file holds a second document (---): write one file for each")
	}
	return root
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("can't be read: %w", errors.Unwrap(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("can't be read: %w", err)
	case len(b) > maxFile:
		return nil, fmt.Errorf("is longer than %d bytes", maxFile)
	case len(bytes.TrimSpace(b)) == 0:
		return nil, errors.New("is empty: a route needs at least route: {upstream: ...} and oidc: {issuer: ..., client_id: ...}")
	}
	return b, nil
}

var syntaxLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// syntaxProblem takes the line out of yaml's words.
func syntaxProblem(name string, err error) Problem {
	if errors.Is(err, io.EOF) {
		return Problem{File: name, Line: 1, Text: "holds nothing but comments"}
	}
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := syntaxLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = err.Error()[len(m[0]):]
	}
	return Problem{File: name, Line: line, Text: "not YAML: " + text}
}

// adopt notes the file of every node, and refuses what would make a value differ from what stands at its place.
func (r *reader) adopt(n *yaml.Node, name string) {
	r.files[n] = name
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fail(n, "anchors and aliases (& and *) aren't read: write the value where it is meant")
		return
	case n.Style&yaml.TaggedStyle != 0:
		r.fail(n, "the tag %s isn't read: write the value alone", n.Tag)
	}
	if n.Kind == yaml.MappingNode {
		r.adoptKeys(n, name)
	}
	for _, c := range n.Content {
		r.adopt(c, name)
	}
}

func (r *reader) adoptKeys(n *yaml.Node, name string) {
	seen := map[string]*yaml.Node{}
	for i := 0; i < len(n.Content); i += 2 {
		k := n.Content[i]
		r.files[k] = name
		switch {
		case k.Tag == "!!merge":
			r.fail(k, "merge keys (<<) aren't read: write the keys where they are meant")
		case k.Kind != yaml.ScalarNode:
			r.fail(k, "a key must be a word")
		case seen[k.Value] != nil:
			r.fail(k, "%s stands on line %d already: write it once", k.Value, seen[k.Value].Line)
		}
		seen[k.Value] = k
	}
}

// A pair is a key and its value.
type pair struct {
	name  string // of the parameter, with nesting undone
	key   *yaml.Node
	value *yaml.Node
}

// pairs returns a mapping's, or notes that it is none.
func (r *reader) pairs(n *yaml.Node, what string) []pair {
	if n == nil || isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s: expected a mapping, got %s", what, kindName(n))
		return nil
	}
	var all []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		all = append(all, pair{n.Content[i].Value, n.Content[i], n.Content[i+1]})
	}
	return all
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	return strconv.Quote(n.Value)
}
