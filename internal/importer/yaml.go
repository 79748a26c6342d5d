package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"gopkg.in/yaml.v3"

	"sallyport/internal/strict"
)

// The limits of a file that is imported. Aliases count with all that they stand for.
const (
	maxNodes = 2_000_000
	maxDepth = 100
)

// parseYAML parses a file of YAML or JSON, with anchors, aliases and merge keys. Its errors have the place.
func parseYAML(s Source) (v *strict.Value, err error) {
	p := &parser{file: s.Name}
	defer func() {
		if cause := recover(); cause != nil { // of yaml.v3
			v, err = nil, fmt.Errorf("%s: it isn't valid YAML: %v", s.Name, cause)
		}
	}()
	docs := yaml.NewDecoder(bytes.NewReader(s.Data))
	var doc, second yaml.Node
	switch err := docs.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s: the file is empty", s.Name)
	case err != nil:
		return nil, syntaxError(s)
	}
	if err := docs.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:%d: a second document begins here: import one file for each document", s.Name, second.Line)
	}
	root, err := p.tree(doc.Content[0], 0)
	if err == nil && root.Kind != strict.Mapping {
		err = fmt.Errorf("%s: expected a mapping, got %s", root.Mark, root.Kind)
	}
	return root, err
}

// syntaxError returns the error of a file that isn't YAML.
func syntaxError(s Source) error {
	var r strict.Report
	r.Parse(s.Name, s.Data)
	if err := r.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%s: it isn't valid YAML", s.Name)
}

// A parser makes values of nodes.
type parser struct {
	file  string
	nodes int
}

// tree returns the value of a node. It resolves aliases.
func (p *parser) tree(n *yaml.Node, depth int) (*strict.Value, error) {
	v := &strict.Value{Mark: strict.Mark{File: p.file, Line: n.Line}, Kind: strict.Scalar, Text: n.Value}
	if p.nodes++; p.nodes > maxNodes || depth > maxDepth {
		return nil, fmt.Errorf("%s: the file has too many values, or values too deep in each other", v.Mark)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return p.tree(n.Alias, depth+1)
	case yaml.MappingNode:
		v.Kind = strict.Mapping
		return v, p.mapping(v, n, depth)
	case yaml.SequenceNode:
		v.Kind = strict.List
		for _, item := range n.Content {
			element, err := p.tree(item, depth+1)
			if err != nil {
				return nil, err
			}
			v.Items = append(v.Items, element)
		}
	default:
		v.Null = n.Tag == "!!null"
	}
	return v, nil
}

// mapping adds the pairs of a node, and those of its merge keys that it doesn't have itself.
func (p *parser) mapping(v *strict.Value, n *yaml.Node, depth int) error {
	var merged []*strict.Value
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		value, err := p.tree(n.Content[i+1], depth+1)
		at := strict.Mark{File: p.file, Line: key.Line}
		switch {
		case err != nil:
			return err
		case key.Tag == "!!merge" && value.Kind == strict.List:
			merged = append(merged, value.Items...)
		case key.Tag == "!!merge":
			merged = append(merged, value)
		case key.Kind != yaml.ScalarNode:
			return fmt.Errorf("%s: expected a key, got a list or a mapping", at)
		case v.Get(key.Value) != nil:
			return fmt.Errorf("%s: %s is written twice, first on line %d", at, key.Value, v.Get(key.Value).Line)
		default:
			v.Put(strict.Pair{Mark: at, Key: key.Value, Value: value})
		}
	}
	for _, m := range merged {
		for _, pair := range m.Pairs {
			if v.Get(pair.Key) == nil {
				v.Put(pair)
			}
		}
	}
	return nil
}
