package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"gopkg.in/yaml.v3"

	"sallyport/internal/check"
)

// A value is a node of a YAML file that knows its place. Unlike yaml.Node it keeps it when it is merged into a block of
// another file.
type value struct {
	mark
	kind  kind
	text  string   // of a scalar, as it is written
	null  bool     // a plain null, ~ or nothing
	items []*value // of a list
	pairs []pair   // of a mapping, each key once: see put
	index map[string]int
}

type kind string

const (
	scalar  kind = "a single value"
	list    kind = "a list"
	mapping kind = "a mapping"
)

// A pair is a key of a mapping and its value.
type pair struct {
	mark
	key   string
	value *value
}

// get returns the pair with a key, or nil.
func (v *value) get(key string) *pair {
	if i, found := v.index[key]; found {
		return &v.pairs[i]
	}
	return nil
}

// put adds a pair whose key isn't there.
func (v *value) put(p pair) {
	if v.index == nil {
		v.index = map[string]int{}
	}
	v.index[p.key] = len(v.pairs)
	v.pairs = append(v.pairs, p)
}

// read returns the mapping that a file holds, or nil after reporting why there is none.
func (r *report) read(name string) *value {
	data, err := check.ReadFile(name)
	if err != nil {
		r.problem(mark{name, 0}, "the file can't be read: %v", err)
		return nil
	}
	return r.parse(name, data)
}

// parse turns a file's text into its tree. What YAML allows and a configuration doesn't need is reported and left out:
// anchors, aliases, merge keys, tags, further documents, and a key's second value.
func (r *report) parse(name string, data []byte) *value {
	if m, text := syntaxError(name, data); text != "" {
		r.problem(m, "%s", text)
		return nil
	}
	docs := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := docs.Decode(&doc); err != nil || len(doc.Content) == 0 || isNull(doc.Content[0]) {
		r.problem(mark{name, 0}, "the file is empty: write at least route: with upstream: in it, and oidc: with issuer: and client_id:")
		return nil
	}
	if err := docs.Decode(&second); err == nil {
		r.problem(mark{name, second.Line}, "a second document begins here: write one file for each route, and take the --- out")
	}
	root := r.tree(name, doc.Content[0])
	if root.kind != mapping {
		r.problem(root.mark, "expected a mapping such as route: and oidc:, got %s", root.kind)
		return nil
	}
	return root
}

// tree copies n and what is below it.
func (r *report) tree(file string, n *yaml.Node) *value {
	v := &value{mark: mark{file, n.Line}, kind: scalar, text: n.Value}
	r.plain(v.mark, n)
	switch n.Kind {
	case yaml.MappingNode:
		v.kind = mapping
		r.mapping(v, n)
	case yaml.SequenceNode:
		v.kind = list
		for _, item := range n.Content {
			v.items = append(v.items, r.tree(file, item))
		}
	case yaml.AliasNode:
		v.text, v.null = "", true
	default:
		v.null = isNull(n)
	}
	return v
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// plain reports what makes a node mean something else than what stands there.
func (r *report) plain(m mark, n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		r.problem(m, "the alias *%s isn't read here: write the value out; what all routes share goes into oidc: of the process file", n.Value)
	case n.Anchor != "":
		r.problem(m, "the anchor &%s isn't read here: take it out; what all routes share goes into oidc: of the process file", n.Anchor)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		r.problem(m, "the tag %s isn't read here: take it out; each setting knows its own type", n.Tag)
	}
}

func (r *report) mapping(v *value, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], r.tree(v.file, n.Content[i+1])
		at := mark{v.file, k.Line}
		r.plain(at, k)
		if val.kind != scalar {
			val.line = at.line // of the key: what is missing below it is missing there
		}
		switch first := v.get(k.Value); {
		case k.Kind == yaml.AliasNode:
		case k.Tag == "!!merge":
			r.problem(at, "the merge key << isn't read here: write the keys out; what all routes share goes into oidc: of the process file")
		case k.Kind != yaml.ScalarNode || isNull(k):
			r.problem(at, "expected a key, got %s", describeKey(k))
		case first != nil:
			r.problem(at, "%s stands here a second time, first on line %d: keep one of them", k.Value, first.line)
		default:
			v.put(pair{at, k.Value, val})
		}
	}
}

func describeKey(k *yaml.Node) string {
	switch {
	case k.Kind == yaml.MappingNode:
		return "a mapping: put values that begin with { in quotes"
	case k.Kind == yaml.SequenceNode:
		return "a list: put values that begin with [ in quotes"
	}
	return "nothing: write its name before the colon"
}

// decodeAll reads all documents of data, to find out whether it is YAML. The parser panics where it meets a fault of its
// own; that is the file's problem, not the process's.
func decodeAll(data []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	for docs := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var n yaml.Node
		if err := docs.Decode(&n); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
