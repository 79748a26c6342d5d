// Package strict decodes YAML files into structs, by the tags of their fields. It reports every unknown key and every value that doesn't
// fit, with the file, the line and what to write instead, and all of them at once. Package config has the structs.
//
// A file passes through these steps: YAML to a tree of Values with their places (yaml.go, syntax.go), and the tree to structs (decode.go,
// scalar.go) with ${...} expanded (expand.go). A Shape has the tags of a struct (shape.go). A Report collects the problems (problem.go).
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"gopkg.in/yaml.v3"

	"sallyport/internal/check"
)

// A Value is a node of a YAML file and its place, which has the file, because a mapping can have values from several files.
type Value struct {
	Mark
	Kind  Kind
	Text  string         // of a scalar, as it is written
	Null  bool           // null, ~ or no value
	Items []*Value       // of a list
	Pairs []Pair         // of a mapping, in the order of the file; Put adds one
	index map[string]int // key to index in Pairs
}

// NewMapping returns a mapping without pairs.
func NewMapping(m Mark) *Value { return &Value{Mark: m, Kind: Mapping} }

// A Kind is a kind of node. Its text is for messages.
type Kind string

// The kinds of nodes.
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

// Get returns the pair with a key, or nil if the value has no such key.
func (v *Value) Get(key string) *Pair {
	if i, found := v.index[key]; found {
		return &v.Pairs[i]
	}
	return nil
}

// Put adds a pair. The mapping must not have its key.
func (v *Value) Put(p Pair) {
	if v.index == nil {
		v.index = map[string]int{}
	}
	v.index[p.Key] = len(v.Pairs)
	v.Pairs = append(v.Pairs, p)
}

// Read returns the mapping in a file, or nil if it has reported a problem.
func (r *Report) Read(name string) *Value {
	r.Uses(name)
	data, err := check.ReadFile(name)
	if err != nil {
		r.Problemf(Mark{name, 0}, "the file can't be read: %v", err)
		return nil
	}
	return r.Parse(name, data)
}

// Parse returns the mapping in the text of a file, or nil if it has reported a problem. It reports and leaves out anchors, aliases, merge
// keys, tags, further documents and repeated keys.
func (r *Report) Parse(name string, data []byte) *Value {
	if m, text := syntaxError(name, data); text != "" {
		r.Problemf(m, "%s", text)
		return nil
	}
	docs := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := docs.Decode(&doc); err != nil || len(doc.Content) == 0 || isNull(doc.Content[0]) {
		r.Problemf(Mark{name, 0}, "the file is empty: write at least route: {upstream: ...} and oidc: {issuer: ..., client_id: ...}")
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

// tree returns the value of a node.
func (r *Report) tree(file string, n *yaml.Node) *Value {
	v := &Value{Mark: Mark{file, n.Line}, Kind: Scalar, Text: n.Value}
	r.refuseReferences(v.Mark, n)
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

// shared is the advice for anchors, aliases and merge keys.
const shared = "; settings that all routes share belong in oidc: of the process file"

// refuseReferences reports an alias, an anchor and a tag, because they give a node a value or type that isn't written at its place.
func (r *Report) refuseReferences(m Mark, n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		r.Problemf(m, "the alias *%s isn't supported: write the value in full"+shared, n.Value)
	case n.Anchor != "":
		r.Problemf(m, "the anchor &%s isn't supported: take it out"+shared, n.Anchor)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		r.Problemf(m, "the tag %s isn't supported: take it out; each setting has its own type", n.Tag)
	}
}

// mapping adds the pairs of a node to v.
func (r *Report) mapping(v *Value, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], r.tree(v.File, n.Content[i+1])
		at := Mark{v.File, k.Line}
		r.refuseReferences(at, k)
		if val.Kind != Scalar {
			val.Line = at.Line // of the key, for problems with missing keys of the value
		}
		switch first := v.Get(k.Value); {
		case k.Kind == yaml.AliasNode:
		case k.Tag == "!!merge":
			r.Problemf(at, "the merge key << isn't supported: write the keys in full"+shared)
		case k.Kind != yaml.ScalarNode || isNull(k):
			r.Problemf(at, "expected a key, got %s", describeKey(k))
		case first != nil:
			r.Problemf(at, "%s is written twice, first on line %d: keep one of them", k.Value, first.Line)
		default:
			v.Put(Pair{at, k.Value, val})
		}
	}
}

// describeKey describes a key that isn't a text, with the advice.
func describeKey(k *yaml.Node) string {
	switch {
	case k.Kind == yaml.MappingNode:
		return "a mapping: put values that begin with { in quotes"
	case k.Kind == yaml.SequenceNode:
		return "a list: put values that begin with [ in quotes"
	}
	return "nothing: write its name before the colon"
}

// decodeAll returns the parser's error for the documents in data. It also returns a panic of the parser as an error, because a file must
// not stop the process.
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
