package importer

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"sallyport/internal/strict"
)

// A Mapping is a mapping of YAML whose keys keep the order in which they are set.
type Mapping struct{ pairs []*pair }

// A pair is a key of a Mapping.
type pair struct {
	key        string
	value      any // as Set takes it
	flow       bool
	head, line string      // comments
	place      strict.Mark // in the source; zero: that of the mapping
}

// A Raw is a scalar that is written as it is, so that ${env:NAME} in it is a reference.
type Raw string

// A Plain is a number or a boolean, which is written without quotes.
type Plain string

// NewMapping returns a mapping without keys.
func NewMapping() *Mapping { return &Mapping{} }

// Set sets a key, or replaces its value. The value is a string, Raw, Plain, bool, int, *Mapping, a list of strings, Raws, anys or
// mappings, or nil for null. A string means itself: a ${ in it is written as $${.
func (m *Mapping) Set(key string, value any) *Mapping {
	if p := m.find(key); p != nil {
		p.value = value
		return m
	}
	m.pairs = append(m.pairs, &pair{key: key, value: value})
	return m
}

// SetAt sets a key as Set does. An error about it names the place in the source.
func (m *Mapping) SetAt(place strict.Mark, key string, value any) *Mapping {
	m.Set(key, value)
	m.find(key).place = place
	return m
}

// SetFlow sets a key as Set does, and writes a list or mapping on the line of its key.
func (m *Mapping) SetFlow(key string, value any) *Mapping {
	m.Set(key, value)
	m.find(key).flow = true
	return m
}

// Comment writes a comment above a key that is set.
func (m *Mapping) Comment(key, text string) {
	if p := m.find(key); p != nil {
		p.head = commented(text)
	}
}

// LineComment writes a comment behind a key that is set, if its value is on one line.
func (m *Mapping) LineComment(key, text string) {
	if p := m.find(key); p != nil {
		p.line = commented(text)
	}
}

// Has reports whether a key is set.
func (m *Mapping) Has(key string) bool { return m.find(key) != nil }

// Value returns the value of a key as it was set, or nil.
func (m *Mapping) Value(key string) any {
	if p := m.find(key); p != nil {
		return p.value
	}
	return nil
}

// Delete removes a key, if it is set.
func (m *Mapping) Delete(key string) {
	for i, p := range m.pairs {
		if p.key == key {
			m.pairs = append(m.pairs[:i:i], m.pairs[i+1:]...)
			return
		}
	}
}

// Len returns the number of keys.
func (m *Mapping) Len() int { return len(m.pairs) }

// Mapping returns the mapping of a key. It sets an empty one if the key isn't set to a mapping.
func (m *Mapping) Mapping(key string) *Mapping {
	if p := m.find(key); p != nil {
		if inner, ok := p.value.(*Mapping); ok {
			return inner
		}
	}
	inner := NewMapping()
	m.Set(key, inner)
	return inner
}

// find returns the pair of a key, or nil.
func (m *Mapping) find(key string) *pair {
	for _, p := range m.pairs {
		if p.key == key {
			return p
		}
	}
	return nil
}

// encode returns the mapping as the text of a YAML file.
func (m *Mapping) encode() []byte {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(nodeOf(m)); err != nil { // the nodes are of this package's making
		panic("importer: " + err.Error())
	}
	return out.Bytes()
}

// places returns the places in the source by the lines of the encoded mapping.
func (m *Mapping) places(data []byte) map[int]strict.Mark {
	all, doc := map[int]strict.Mark{}, yaml.Node{}
	if err := yaml.Unmarshal(data, &doc); err != nil || len(doc.Content) == 0 {
		return all
	}
	m.addPlaces(all, doc.Content[0], strict.Mark{})
	return all
}

// addPlaces adds the places of the keys whose mapping is at a node. The place of the mapping is outer.
func (m *Mapping) addPlaces(all map[int]strict.Mark, n *yaml.Node, outer strict.Mark) {
	for i, p := range m.pairs {
		key, value, place := n.Content[2*i], n.Content[2*i+1], outer
		if p.place.File != "" {
			place = p.place
		}
		if _, known := all[key.Line]; !known && place.File != "" {
			all[key.Line] = place
		}
		switch v := p.value.(type) {
		case *Mapping:
			v.addPlaces(all, value, place)
		case []*Mapping:
			for j := range v {
				v[j].addPlaces(all, value.Content[j], place)
			}
		}
	}
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
		return scalarNode("!!null", "null")
	case string:
		return textNode(strings.ReplaceAll(v, "${", "$${"))
	case Raw:
		return textNode(string(v))
	case Plain:
		return scalarNode("", string(v))
	case bool:
		return scalarNode("!!bool", strconv.FormatBool(v))
	case int:
		return scalarNode("!!int", strconv.Itoa(v))
	case *Mapping:
		return mappingNode(v)
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

func scalarNode(tag, text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
}

// textNode returns a scalar with the quotes that its text needs.
func textNode(text string) *yaml.Node {
	n := &yaml.Node{}
	if err := n.Encode(text); err != nil {
		panic("importer: " + err.Error())
	}
	return n
}

// mappingNode returns a mapping with its comments.
func mappingNode(m *Mapping) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range m.pairs {
		key, value := textNode(p.key), nodeOf(p.value)
		key.HeadComment = p.head
		if value.Kind == yaml.ScalarNode || value.Style&yaml.FlowStyle != 0 {
			value.LineComment = p.line
		}
		if p.flow {
			value.Style |= yaml.FlowStyle
		}
		n.Content = append(n.Content, key, value)
	}
	return n
}

// listNode returns a list.
func listNode[T any](values []T) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, v := range values {
		item := nodeOf(v)
		if item.Kind == yaml.MappingNode {
			n.Style = 0
		}
		n.Content = append(n.Content, item)
	}
	return n
}
