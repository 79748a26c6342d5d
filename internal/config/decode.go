package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"sallyport/internal/auth"
)

// A field is one settable field of a settings struct, with what its tags say.
type field struct {
	name     string
	index    []int
	typ      reflect.Type
	tag      reflect.StructTag
	required bool
}

// fields lists the settable fields of a struct by key; embedded and inlined structs are flattened.
func fields(t reflect.Type) map[string]field {
	all := map[string]field{}
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" && f.Type.Kind() == reflect.Struct && f.IsExported() {
			for name, inner := range fields(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				all[name] = inner
			}
			continue
		}
		if key != "" && key != "-" {
			all[key] = field{key, []int{i}, f.Type, f.Tag, f.Tag.Get("required") == "true"}
		}
	}
	return all
}

// A block is a decoded mapping and where its keys stand, for problems that are found later.
type block struct {
	place *yaml.Node // where the block begins
	keys  map[string]*yaml.Node
}

// at is the node of a key, or of the block if the key isn't written.
func (b block) at(key string) *yaml.Node {
	if n := b.keys[key]; n != nil {
		return n
	}
	return b.place
}

// decode sets the fields of the struct v from pairs. unknown says what is wrong with a key that is no field, or "" if
// the key may be ignored.
func (r *reader) decode(place *yaml.Node, list []pair, v reflect.Value, unknown func(pair) string) block {
	b := block{place, map[string]*yaml.Node{}}
	known := fields(v.Type())
	for _, p := range list {
		f, ok := known[p.name]
		if !ok {
			if text := unknown(p); text != "" {
				r.fail(p.key, "%s", text)
			}
			continue
		}
		b.keys[p.name] = p.key
		if !isNull(p.value) {
			r.value(p.value, v.FieldByIndex(f.index), f)
		}
	}
	for _, f := range known {
		r.absent(b, list, v.FieldByIndex(f.index), f)
	}
	return b
}

// absent gives a field that isn't written its default, or says that it must be.
func (r *reader) absent(b block, list []pair, v reflect.Value, f field) {
	for _, p := range list {
		if p.name == f.name && (!isNull(p.value) || f.typ.Kind() == reflect.Pointer) {
			return
		}
	}
	if f.required {
		r.fail(b.place, "%s is missing", f.name)
		return
	}
	if text, has := f.tag.Lookup("default"); has {
		r.value(defaultNode(text, v.Kind()), v, f)
		return
	}
	if v.Kind() == reflect.Struct { // its members' defaults
		r.decode(b.place, nil, v, func(pair) string { return "" })
	}
}

// defaultNode is the node of a default: a list is YAML, all else is taken literally.
func defaultNode(text string, kind reflect.Kind) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	if kind == reflect.Slice {
		var list yaml.Node
		if err := yaml.Unmarshal([]byte(text), &list); err != nil {
			panic(fmt.Sprintf("the default %s: %v", text, err))
		}
		n = list.Content[0]
	}
	return n
}

// value sets v from a node as its type says.
func (r *reader) value(n *yaml.Node, v reflect.Value, f field) {
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(n, v.Elem(), f)
	case implementsText(v):
		r.scalar(n, v, f)
	case v.Kind() == reflect.Slice:
		r.list(n, v, f)
	case v.Kind() == reflect.Struct:
		r.structure(n, v, f)
	default:
		r.scalar(n, v, f)
	}
}

func implementsText(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	return ok
}

// list reads a list; a scalar is a list of one.
func (r *reader) list(n *yaml.Node, v reflect.Value, f field) {
	nodes := n.Content
	switch {
	case n.Kind == yaml.ScalarNode:
		nodes = []*yaml.Node{n}
	case n.Kind == yaml.MappingNode && v.Type().Elem().Kind() == reflect.Struct:
		r.fail(n, "%s: expected a list: write - before each entry", f.name)
		return
	case n.Kind != yaml.SequenceNode:
		r.fail(n, "%s: expected a list, got %s", f.name, kindName(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(nodes), len(nodes)))
	for i, c := range nodes {
		if isNull(c) {
			r.fail(c, "%s: entry %d is empty", f.name, i+1)
			continue
		}
		r.value(c, v.Index(i), f)
	}
	if least, err := strconv.Atoi(f.tag.Get("min")); err == nil && len(nodes) < least {
		r.fail(n, "%s: expected at least %d entry", f.name, least)
	}
}

// structure reads a mapping, or a scalar for the field that says scalar.
func (r *reader) structure(n *yaml.Node, v reflect.Value, f field) {
	for name, inner := range fields(v.Type()) {
		if n.Kind == yaml.ScalarNode && inner.tag.Get("scalar") == "true" {
			r.decode(n, []pair{{name, n, n}}, v, nil)
			return
		}
	}
	known := fields(v.Type())
	r.decode(n, r.pairs(n, f.name), v, func(p pair) string {
		return fmt.Sprintf("%s: unknown key %s%s", f.name, p.name, didYouMean(p.name, keys(known)))
	})
}

// scalar reads one value. The text of a secret is never put into a problem.
func (r *reader) scalar(n *yaml.Node, v reflect.Value, f field) {
	if n.Kind != yaml.ScalarNode {
		r.fail(n, "%s: expected one value, got %s", f.name, kindName(n))
		return
	}
	text, err := expand(n.Value)
	if err != nil {
		r.fail(n, "%s: %v", f.name, err)
		return
	}
	if expected := set(v, text, f); expected != "" {
		got := ", got " + strconv.Quote(text)
		if text != n.Value || v.Type() == reflect.TypeFor[auth.Secret]() {
			got = "" // it may be a secret
		}
		r.fail(n, "%s: expected %s%s", f.name, expected, got)
	}
}

// set sets v and returns "", or what was expected instead.
func set(v reflect.Value, text string, f field) (expected string) {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return expectedText(v)
		}
		return ""
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		return setDuration(v, text, f)
	case v.Kind() == reflect.String:
		v.SetString(text)
		return checkEnum(text, f)
	case v.Kind() == reflect.Bool:
		b := strings.ToLower(text)
		if v.SetBool(b == "true"); b != "true" && b != "false" {
			return "true or false"
		}
		return ""
	case v.Kind() == reflect.Int:
		return setInt(v, text, f)
	}
	panic("no way to read a " + v.Type().String())
}

func expectedText(v reflect.Value) string {
	if v.Type() == reflect.TypeFor[Prefix]() {
		return "an address or a network such as 10.0.0.0/8"
	}
	return "another form"
}

func checkEnum(text string, f field) string {
	enum := f.tag.Get("enum")
	if enum == "" {
		return ""
	}
	words := strings.Split(enum, ",")
	for _, w := range words {
		if text == w {
			return ""
		}
	}
	if why := laterValues[f.name+"="+text]; why != "" {
		return strings.Join(words, " or ") + " (" + why + ")"
	}
	return strings.Join(words, " or ")
}

func setInt(v reflect.Value, text string, f field) string {
	n, err := strconv.Atoi(text)
	least, errLeast := strconv.Atoi(f.tag.Get("min"))
	most, errMost := strconv.Atoi(f.tag.Get("max"))
	switch {
	case err != nil:
		return "a whole number"
	case errLeast == nil && n < least:
		return "a number from " + f.tag.Get("min")
	case errMost == nil && n > most:
		return "a number up to " + f.tag.Get("max")
	}
	v.SetInt(int64(n))
	return ""
}

// setDuration reads a bare number in the field's unit, seconds unless it says ms, or Go's notation.
func setDuration(v reflect.Value, text string, f field) string {
	unit, name := time.Second, "seconds"
	if f.tag.Get("unit") == "ms" {
		unit, name = time.Millisecond, "milliseconds"
	}
	expected := "a number of " + name + ", or a duration such as 30m"
	d, err := time.ParseDuration(text)
	if err != nil {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n >= 0 && n < 1e10) {
			return expected
		}
		d = time.Duration(n * float64(unit))
	}
	least, _ := time.ParseDuration(f.tag.Get("min"))
	if d < least {
		return expected + ", at least " + f.tag.Get("min")
	}
	if d < 0 {
		return expected
	}
	v.SetInt(int64(d))
	return ""
}
