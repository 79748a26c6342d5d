package importer

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Mapping is a mapping of YAML whose keys keep the order in which they are set.
type Mapping struct{ node *yaml.Node }

// A Raw is a scalar that is written as it is, so that ${env:NAME} in it is a reference.
type Raw string

// NewMapping returns a mapping without keys.
func NewMapping() *Mapping { return &Mapping{&yaml.Node{Kind: yaml.MappingNode}} }

// Set sets a key, or replaces its value. The value is a string, Raw, bool, int, *Mapping, a list of strings, Raws, anys or mappings, or nil
// for null. A string means itself: a ${ in it is written as $${.
func (m *Mapping) Set(key string, value any) *Mapping {
	n := nodeOf(value)
	if i := m.find(key); i >= 0 {
		m.node.Content[i+1] = n
		return m
	}
	m.node.Content = append(m.node.Content, nodeOf(Raw(key)), n)
	return m
}

// SetFlow sets a key as Set does, and writes a list or mapping on the line of its key.
func (m *Mapping) SetFlow(key string, value any) *Mapping {
	m.Set(key, value)
	m.node.Content[m.find(key)+1].Style |= yaml.FlowStyle
	return m
}

// Comment writes a comment above a key that is set.
func (m *Mapping) Comment(key, text string) {
	if i := m.find(key); i >= 0 {
		m.node.Content[i].HeadComment = commented(text)
	}
}

// LineComment writes a comment behind a key that is set and its value.
func (m *Mapping) LineComment(key, text string) {
	if i := m.find(key); i >= 0 && m.node.Content[i+1].Kind == yaml.ScalarNode {
		m.node.Content[i+1].LineComment = commented(text)
	}
}

// Has reports whether a key is set.
func (m *Mapping) Has(key string) bool { return m.find(key) >= 0 }

// Len returns the number of keys.
func (m *Mapping) Len() int { return len(m.node.Content) / 2 }

// Mapping returns the mapping of a key. It sets an empty one if the key isn't set.
func (m *Mapping) Mapping(key string) *Mapping {
	i := m.find(key)
	if i < 0 {
		m.Set(key, NewMapping())
		i = m.find(key)
	}
	return &Mapping{m.node.Content[i+1]}
}

// append adds the keys of another mapping.
func (m *Mapping) append(other *Mapping) {
	m.node.Content = append(m.node.Content, other.node.Content...)
}

// find returns the index of a key in the content of the node, or -1.
func (m *Mapping) find(key string) int {
	for i := 0; i < len(m.node.Content); i += 2 {
		if m.node.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// commented returns the lines of a text as lines of a comment.
func commented(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = "# " + strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}

// nodeOf returns the node of a value. Lists of scalars are written on one line. It panics for a type that Set doesn't take.
func nodeOf(value any) *yaml.Node {
	switch v := value.(type) {
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	case string:
		return textNode(strings.ReplaceAll(v, "${", "$${"))
	case Raw:
		return textNode(string(v))
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(v)}
	case *Mapping:
		return v.node
	case []string:
		return listNode(v)
	case []Raw:
		return listNode(v)
	case []any:
		return listNode(v)
	case []*Mapping:
		return listNode(v)
	}
	panic(fmt.Sprintf("importer: a value can't be %T", value))
}

// textNode returns a scalar with the quotes that its text needs.
func textNode(text string) *yaml.Node {
	n := &yaml.Node{}
	if err := n.Encode(text); err != nil {
		panic("importer: " + err.Error())
	}
	return n
}

// listNode returns a list.
func listNode[T any](values []T) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, v := range values {
		item := nodeOf(v)
		if item.Kind != yaml.ScalarNode {
			n.Style = 0
		}
		n.Content = append(n.Content, item)
	}
	return n
}
