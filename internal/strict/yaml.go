// Package strict reads YAML files strictly into structs, by the tags of their fields: what a file says and no field has is reported with
// its place and what to write instead, and so is every value that doesn't fit. It knows no setting.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"gopkg.in/yaml.v3"

	"sallyport/internal/check"
)

// A Value is a node of a YAML file that knows its place. Unlike yaml.Node it keeps it when it is merged into a block of
// another file.
type Value struct {
	Mark
	Kind  Kind
	Text  string   // of a scalar, as it is written
	Null  bool     // a plain null, ~ or nothing
	Items []*Value // of a list
	Pairs []Pair   // of a mapping, each key once: see put
	index map[string]int
}

type Kind string

const (
	Scalar  Kind = "a single value"
	List    Kind = "a list"
	Mapping Kind = "a mapping"
)

// A Pair is a key of a mapping and its value.
type Pair struct {
	Mark
	Key   string
	Value *Value
}

// Get returns the pair with a key, or nil.
func (v *Value) Get(key string) *Pair {
	if i, found := v.index[key]; found {
		return &v.Pairs[i]
	}
	return nil
}

// Put adds a pair whose key isn't there.
func (v *Value) Put(p Pair) {
	if v.index == nil {
		v.index = map[string]int{}
	}
	v.index[p.Key] = len(v.Pairs)
	v.Pairs = append(v.Pairs, p)
}

// Read returns the mapping that a file holds, or nil after reporting why there is none.
func (r *Report) Read(name string) *Value {
	data, err := check.ReadFile(name)
	if err != nil {
		r.Problemf(Mark{name, 0}, "the file can't be read: %v", err)
		return nil
	}
	return r.Parse(name, data)
}

// Parse turns a file's text into its tree. What YAML allows and a configuration doesn't need is reported and left out:
// anchors, aliases, merge keys, tags, further documents, and a key's second value.
func (r *Report) Parse(name string, data []byte) *Value {
	if m, text := syntaxError(name, data); text != "" {
		r.Problemf(m, "%s", text)
		return nil
	}
	docs := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := docs.Decode(&doc); err != nil || len(doc.Content) == 0 || isNull(doc.Content[0]) {
		r.Problemf(Mark{name, 0}, "the file is empty: write at least route: with upstream: in it, and oidc: with issuer: and client_id:")
		return nil
	}
	if err := docs.Decode(&second); err == nil {
		r.Problemf(Mark{name, second.Line}, "a second document begins here: write one file for each route, and take the --- out")
	}
	root := r.tree(name, doc.Content[0])
	if root.Kind != Mapping {
		r.Problemf(root.Mark, "expected a mapping such as route: and oidc:, got %s", root.Kind)
		return nil
	}
	return root
}

// tree copies n and what is below it.
func (r *Report) tree(file string, n *yaml.Node) *Value {
	v := &Value{Mark: Mark{file, n.Line}, Kind: Scalar, Text: n.Value}
	r.plain(v.Mark, n)
	switch n.Kind {
	case yaml.MappingNode:
		v.Kind = Mapping
		r.mapping(v, n)
	case yaml.SequenceNode:
		v.Kind = List
		for _, item := range n.Content {
			v.Items = append(v.Items, r.tree(file, item))
		}
	case yaml.AliasNode:
		v.Text, v.Null = "", true
	default:
		v.Null = isNull(n)
	}
	return v
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// plain reports what makes a node mean something else than what stands there.
func (r *Report) plain(m Mark, n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		r.Problemf(m, "the alias *%s isn't read here: write the value out; what all routes share goes into oidc: of the process file", n.Value)
	case n.Anchor != "":
		r.Problemf(m, "the anchor &%s isn't read here: take it out; what all routes share goes into oidc: of the process file", n.Anchor)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		r.Problemf(m, "the tag %s isn't read here: take it out; each setting knows its own type", n.Tag)
	}
}

func (r *Report) mapping(v *Value, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], r.tree(v.File, n.Content[i+1])
		at := Mark{v.File, k.Line}
		r.plain(at, k)
		if val.Kind != Scalar {
			val.Line = at.Line // of the key: what is missing below it is missing there
		}
		switch first := v.Get(k.Value); {
		case k.Kind == yaml.AliasNode:
		case k.Tag == "!!merge":
			r.Problemf(at, "the merge key << isn't read here: write the keys out; what all routes share goes into oidc: of the process file")
		case k.Kind != yaml.ScalarNode || isNull(k):
			r.Problemf(at, "expected a key, got %s", describeKey(k))
		case first != nil:
			r.Problemf(at, "%s stands here a second time, first on line %d: keep one of them", k.Value, first.Line)
		default:
			v.Put(Pair{at, k.Value, val})
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
