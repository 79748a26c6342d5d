package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/check"
)

// A block is a part of the configuration while it is read and checked: a route with its oidc block, a rule, or the keys of
// the process. It remembers where each key stands, so that later checks can name the line.
type block struct {
	*report
	home    mark
	entries map[string]*entry
}

// An entry is a key as it is written. Keys of mappings below a block are joined with dots, elements of lists are name[0].
type entry struct {
	mark
	text string // of a scalar, for messages: unexpanded; empty if it must not be shown
	set  bool   // to something else than null
	bad  bool   // it was complained about, so that no check needs to
}

func newBlock(r *report, home mark) *block {
	return &block{report: r, home: home, entries: map[string]*entry{}}
}

// enclosing is the path of the mapping or list around a key, or "" at the top.
func enclosing(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// find returns the entry of a key, or of what encloses it, or of the block.
func (b *block) find(path string) *entry {
	for ; path != ""; path = enclosing(path) {
		if e := b.entries[path]; e != nil {
			return e
		}
	}
	return &entry{mark: b.home}
}

// IsSet reports whether a key is written, with another value than null.
func (b *block) IsSet(path string) bool { return b.entries[path] != nil && b.entries[path].set }

// Complain reports a mistake in the value of a key, unless one is reported already.
func (b *block) Complain(path, format string, args ...any) {
	e := b.find(path)
	if e.bad {
		return
	}
	b.problem(e.mark, "%s: %s", keyName(path), fmt.Sprintf(format, args...))
	if e == b.entries[path] {
		e.bad = true
	}
}

// Warn reports what one should know of a key.
func (b *block) Warn(path, format string, args ...any) {
	b.warning(b.find(path).mark, "%s: %s", keyName(path), fmt.Sprintf(format, args...))
}

// spoil reports a mistake in a value that was read, which later checks then leave alone.
func (b *block) spoil(path string, v *value, format string, args ...any) {
	b.problem(v.mark, "%s: %s", keyName(path), fmt.Sprintf(format, args...))
	for p := path; p != ""; p = enclosing(p) {
		if e := b.entries[p]; e != nil {
			e.bad = true
		}
	}
}

// IsBad reports whether a mistake of a key, or of what encloses it, is reported already.
func (b *block) IsBad(path string) bool { return b.find(path).bad }

// Missing reports a key that must be there, at the oidc block.
func (b *block) Missing(key, write string) {
	if !b.find(key).bad {
		b.problem(b.find("oidc").mark, "%s is missing: write %s", key, write)
	}
}

// Shown returns a value as it stands in the file, quoted for a message.
func (b *block) Shown(path string) string { return check.Quote(b.find(path).text) }

// Place returns where a key stands, as seen from another key.
func (b *block) Place(key, from string) string { return b.find(key).mark.from(b.find(from).mark) }

// InOrder returns headers as their settings are read: what a block inherits from another file comes before its own.
func (b *block) InOrder(all []check.SentHeader) []check.SentHeader {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(x, y check.SentHeader) int {
		m, n := b.find(x.Key).mark, b.find(y.Key).mark
		own := func(m mark) int {
			if m.file == b.home.file {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(own(m), own(n)), cmp.Compare(m.line, n.line))
	})
	return all
}

func keyName(path string) string { return check.KeyName(path) }

// enter remembers where a key stands.
func (b *block) enter(path string, v *value, f *field) {
	e := &entry{mark: v.mark, set: !v.null}
	if v.kind == scalar && !secret(f.typ) {
		e.text = v.text
	}
	b.entries[path] = e
}

// decode reads a mapping into the struct that out is. The scope names the kind of mapping for keys that it doesn't know;
// prefix goes before the keys' names in messages.
func (b *block) decode(scope, prefix string, v *value, out reflect.Value) {
	s := shapeOf(out.Type())
	for _, p := range v.pairs {
		if s.byName[p.key] == nil {
			b.unknown(scope, prefix, p, s)
		}
	}
	for i := range s.fields {
		f := &s.fields[i]
		b.field(scope, prefix, v, f, out.FieldByIndex(f.index))
	}
}

func (b *block) field(scope, prefix string, v *value, f *field, out reflect.Value) {
	path := prefix + f.name
	p := v.get(f.name)
	if p != nil {
		b.enter(path, p.value, f)
	}
	switch {
	case p != nil && !p.value.null:
		b.value(scope, path, p.value, f, out)
		if f.required && out.IsZero() {
			b.Complain(path, "it is empty: write %s", f.wants(f.typ))
		}
	case f.required:
		b.problem(v.mark, "%s is missing: add it", keyName(path))
	case p != nil && out.Kind() == reflect.Pointer: // null says no to a default, too
	default:
		fill(f, out)
	}
}

// fill gives a field its default.
func fill(f *field, out reflect.Value) {
	if f.fallback != nil {
		b := newBlock(&report{}, f.fallback.mark)
		b.value("", f.name, f.fallback, f, out)
		if err := b.err(); err != nil {
			panic(err)
		}
		return
	}
	if t, ok := structure(out.Type()); ok && out.Kind() == reflect.Struct {
		for i := range shapeOf(t).fields {
			inner := &shapeOf(t).fields[i]
			fill(inner, out.FieldByIndex(inner.index))
		}
	}
}

// value reads a value that isn't null.
func (b *block) value(scope, path string, v *value, f *field, out reflect.Value) {
	_, isStruct := structure(out.Type())
	switch {
	case out.Kind() == reflect.Pointer:
		out.Set(reflect.New(out.Type().Elem()))
		b.value(scope, path, v, f, out.Elem())
	case isStruct:
		b.structure(scope, path, v, f, out)
	case out.Kind() == reflect.Slice:
		b.list(scope, path, v, f, out)
	case out.Kind() == reflect.Map:
		b.strings(path, v, f, out)
	default:
		b.scalar(scope, path, v, f, out)
	}
}

func (b *block) structure(scope, path string, v *value, f *field, out reflect.Value) {
	s := shapeOf(out.Type())
	if v.kind == scalar && s.scalar != nil {
		v = &value{mark: v.mark, kind: mapping, pairs: []pair{{v.mark, s.scalar.name, v}}, index: map[string]int{s.scalar.name: 0}}
	}
	if v.kind == list && s.scalar != nil {
		b.spoil(path, v, "expected one value, got a list%s", oneOnly[f.name])
		return
	}
	if v.kind != mapping {
		b.spoil(path, v, "expected a mapping with keys such as %s:, got %s", s.fields[0].name, v.kind)
		return
	}
	inner := scope + "." + f.name
	b.decode(strings.TrimPrefix(inner, "."), path+".", v, out)
}

func (b *block) list(scope, path string, v *value, f *field, out reflect.Value) {
	items := v.items
	_, structs := structure(out.Type().Elem())
	switch {
	case v.kind == scalar:
		items = []*value{v}
	case v.kind == mapping && structs && scalarForm(out.Type().Elem()):
		items = []*value{v}
	case v.kind == mapping && structs:
		b.spoil(path, v, "expected a list of mappings, got a mapping: write \"- \" before its first key, and indent the others")
		return
	case v.kind == mapping:
		b.spoil(path, v, "expected a list, got a mapping%s", vaultHint(v))
		return
	}
	result := reflect.MakeSlice(out.Type(), len(items), len(items))
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		b.enter(at, item, f)
		if item.null {
			b.spoil(at, item, "an element is empty: write its value, or take the \"- \" out")
			continue
		}
		b.value(scope, at, item, f, result.Index(i))
	}
	out.Set(result)
	if n := atoi(f.min); len(items) < n {
		b.spoil(path, v, "the list is empty: write at least one value, or take the key out")
	}
}

// scalarForm reports whether a struct can be written as a single value: then a list of one needs no dash for a mapping either.
func scalarForm(t reflect.Type) bool {
	t, _ = structure(t)
	return shapeOf(t).scalar != nil
}

// strings reads a map[string]string.
func (b *block) strings(path string, v *value, f *field, out reflect.Value) {
	if v.kind != mapping {
		b.spoil(path, v, "expected a mapping of names to values, got %s", v.kind)
		return
	}
	result := map[string]string{}
	for _, p := range v.pairs {
		if text, ok := b.text(path+"."+p.key, p.value, f); ok {
			result[p.key] = text
		}
	}
	out.Set(reflect.ValueOf(result))
}
