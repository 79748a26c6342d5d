package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"

	"sallyport/internal/strict"
)

// readYAML reads an alpha configuration, or the containers of a compose file or of Kubernetes objects that run oauth2-proxy.
func (d *o2pDeployment) readYAML(s Source) error {
	decoder := yaml.NewDecoder(bytes.NewReader(s.Data))
	for {
		var document yaml.Node
		switch err := decoder.Decode(&document); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: the YAML can't be read: %w", s.Name, err)
		case len(document.Content) == 0:
			continue
		}
		if alias := findAlias(&document); alias != nil {
			return fmt.Errorf("%s: an alias (*%s): write the value out, as docker compose config prints it", mark(s.Name, alias), alias.Value)
		}
		if err := d.readDocument(s.Name, document.Content[0]); err != nil {
			return err
		}
	}
}

// findAlias returns the first alias below a node, or nil.
func findAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n
	}
	for _, child := range n.Content {
		if alias := findAlias(child); alias != nil {
			return alias
		}
	}
	return nil
}

// readDocument reads a YAML document by its keys.
func (d *o2pDeployment) readDocument(file string, root *yaml.Node) error {
	if member(root, "kind") != nil || member(root, "services") != nil || member(root, "containers") != nil {
		return d.readContainers(file, root, 0)
	}
	return d.readAlpha(file, root)
}

// readContainers reads every container below a node whose image or command is oauth2-proxy's.
func (d *o2pDeployment) readContainers(file string, n *yaml.Node, depth int) error {
	if depth > maxDepth {
		return nil
	}
	if n.Kind == yaml.MappingNode && isO2PContainer(n) {
		return d.readContainer(file, n)
	}
	for _, child := range n.Content {
		if err := d.readContainers(file, child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// isO2PContainer reports whether a mapping is a container of oauth2-proxy.
func isO2PContainer(n *yaml.Node) bool {
	if member(n, "image") == nil && member(n, "command") == nil {
		return false
	}
	for _, key := range []string{"image", "command", "name"} {
		if v := member(n, key); v != nil && strings.Contains(strings.ReplaceAll(flat(v), "_", "-"), "oauth2-proxy") {
			return true
		}
	}
	return false
}

// flat returns the scalars of a node, separated by spaces.
func flat(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	var all []string
	for _, child := range n.Content {
		if child.Kind == yaml.ScalarNode {
			all = append(all, child.Value)
		}
	}
	return strings.Join(all, " ")
}

// readContainer reads the flags and variables of a container.
func (d *o2pDeployment) readContainer(file string, n *yaml.Node) error {
	for _, key := range []string{"entrypoint", "command", "args"} {
		words, err := commandWords(file, member(n, key))
		if err != nil {
			return err
		}
		if err := d.readFlags(words); err != nil {
			return err
		}
	}
	for _, key := range []string{"environment", "env"} {
		if v := member(n, key); v != nil {
			d.readEnvironment(file, v)
		}
	}
	return nil
}

// commandWords returns the words of a command: a list, or a text as a shell reads it.
func commandWords(file string, n *yaml.Node) (words []word, err error) {
	switch {
	case n == nil:
		return nil, nil
	case n.Kind == yaml.ScalarNode:
		words, err := shellWords(Source{Name: file, Data: []byte(n.Value)})
		for i := range words {
			words[i].place = mark(file, n)
		}
		return words, err
	}
	for _, item := range n.Content {
		words = append(words, word{item.Value, mark(file, item)})
	}
	return words, nil
}

// readEnvironment reads NAME: VALUE, - NAME=VALUE, and - {name: NAME, value: VALUE} or with valueFrom.
func (d *o2pDeployment) readEnvironment(file string, n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			d.setVariable(n.Content[i].Value, n.Content[i+1].Value, mark(file, n.Content[i]))
		}
		return
	}
	for _, item := range n.Content {
		if item.Kind == yaml.ScalarNode {
			name, value, _ := strings.Cut(item.Value, "=")
			d.setVariable(name, value, mark(file, item))
			continue
		}
		d.readVariable(file, item)
	}
}

// readVariable reads a variable of Kubernetes. The value of valueFrom stays a variable of the gate.
func (d *o2pDeployment) readVariable(file string, item *yaml.Node) {
	name, value := member(item, "name"), member(item, "value")
	switch {
	case name == nil:
	case value != nil:
		d.setVariable(name.Value, value.Value, mark(file, name))
	case member(item, "valueFrom") != nil:
		d.setVariable(name.Value, "${"+name.Value+"}", mark(file, name))
	}
}

// member returns the value of a key of a mapping, or nil.
func member(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// mark returns the place of a node.
func mark(file string, n *yaml.Node) strict.Mark { return strict.Mark{File: file, Line: n.Line} }
