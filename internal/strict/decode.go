package strict

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/check"
)

// Hints add what the program knows about its settings to the messages. Each field may be nil.
type Hints struct {
	// Unknown returns the problem with a key that no field of s has, or "" if the key is accepted and ignored. The scope is the
	// kind of mapping that has the key. The path is the key with the keys above it.
	Unknown func(scope, path string, p Pair, s *Shape) string
	// Value returns the problem with a value, or "" if there is none.
	Value func(scope, key, text string) string
	// OneOnly has, by key, the text that follows "expected one value, got a list".
	OneOnly map[string]string
}

// hints returns the hints of the report. They are never nil.
func (b *Block) hints() *Hints {
	if b.Report.Hints == nil {
		return &Hints{}
	}
	return b.Report.Hints
}

// unknownKey reports a key that no field of s has.
func (b *Block) unknownKey(scope, prefix string, p Pair, s *Shape) {
	text := fmt.Sprintf("unknown key %s", keyName(prefix+p.Key))
	if unknown := b.hints().Unknown; unknown != nil {
		text = unknown(scope, keyName(prefix+p.Key), p, s)
	}
	if text != "" {
		b.Problemf(p.Mark, "%s", text)
	}
}

// Checker returns a Checker whose report is the block.
func (b *Block) Checker() check.Checker { return check.Checker{Report: b} }

// A Block is a part of a configuration that is checked as a whole. It has the place of each of its keys, so that checks after Decode
// can report the line. It implements check.Report.
type Block struct {
	*Report
	Home    Mark // for problems with keys that aren't written
	Entries map[string]*Entry
}

// An Entry is a key of a block as it is written. The name of a key in a nested mapping has the keys above it, joined with dots. An
// element of a list is name[0].
type Entry struct {
	Mark
	text string // of a scalar, with its ${...}, for messages; empty if it must not be shown
	Set  bool   // the value isn't null
	Bad  bool   // a problem with the value is reported, so that later checks leave it out
}

// NewBlock returns a block without keys.
func NewBlock(r *Report, home Mark) *Block {
	return &Block{Report: r, Home: home, Entries: map[string]*Entry{}}
}

// parent returns the path of the mapping or list that has a key, or "" at the top.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// Find returns the entry of a key. If the key isn't written, it returns the entry of the nearest mapping or list above it, or at the top
// an entry with the place of the block.
func (b *Block) Find(path string) *Entry {
	for ; path != ""; path = parent(path) {
		if e := b.Entries[path]; e != nil {
			return e
		}
	}
	return &Entry{Mark: b.Home}
}

// IsSet reports whether a key is written and its value isn't null.
func (b *Block) IsSet(path string) bool { return b.Entries[path] != nil && b.Entries[path].Set }

// Complain reports a problem with the value of a key, unless one is reported already.
func (b *Block) Complain(path, format string, args ...any) {
	e := b.Find(path)
	if e.Bad {
		return
	}
	b.Problemf(e.Mark, "%s: %s", keyName(path), fmt.Sprintf(format, args...))
	if e == b.Entries[path] {
		e.Bad = true
	}
}

// Warn reports a valid value that is probably a mistake.
func (b *Block) Warn(path, format string, args ...any) {
	b.Warningf(b.Find(path).Mark, "%s: %s", keyName(path), fmt.Sprintf(format, args...))
}

// reject reports a problem with a value, and marks its key and the keys above it as bad.
func (b *Block) reject(path string, v *Value, format string, args ...any) {
	b.Problemf(v.Mark, "%s: %s", keyName(path), fmt.Sprintf(format, args...))
	for p := path; p != ""; p = parent(p) {
		if e := b.Entries[p]; e != nil {
			e.Bad = true
		}
	}
}

// IsBad reports whether a problem with a key, or with a mapping or list that has it, is reported already.
func (b *Block) IsBad(path string) bool { return b.Find(path).Bad }

// Missing reports that a required key of the oidc mapping is missing, at the place of that mapping.
func (b *Block) Missing(key, write string) {
	if !b.Find(key).Bad {
		b.Problemf(b.Find("oidc").Mark, "%s is missing: write %s", key, write)
	}
}

// Shown returns a value as it is written, quoted for a message. It returns "" in quotes for a secret.
func (b *Block) Shown(path string) string { return check.Quote(b.Find(path).text) }

// Place returns the place of a key for a message about the key from.
func (b *Block) Place(key, from string) string { return b.Find(key).Mark.From(b.Find(from).Mark) }

// InOrder returns the headers sorted by the places of their settings. Settings from other files, which the block inherits, come first.
func (b *Block) InOrder(all []check.SentHeader) []check.SentHeader {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(x, y check.SentHeader) int {
		m, n := b.Find(x.Key).Mark, b.Find(y.Key).Mark
		own := func(m Mark) int {
			if m.File == b.Home.File {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(own(m), own(n)), cmp.Compare(m.Line, n.Line))
	})
	return all
}

func keyName(path string) string { return check.KeyName(path) }

// addEntry adds the entry of a key. It doesn't keep the text of a secret.
func (b *Block) addEntry(path string, v *Value, f *Field) {
	e := &Entry{Mark: v.Mark, Set: !v.Null}
	if v.Kind == Scalar && !IsSecret(f.Type) {
		e.text = v.Text
	}
	b.Entries[path] = e
}

// Decode decodes a mapping into the struct that out points to. Fields whose keys are missing or null get their defaults. The scope is the
// kind of mapping, for Hints.
func (b *Block) Decode(scope string, v *Value, out any) {
	b.decode(scope, "", v, reflect.ValueOf(out).Elem())
}

// decode is Decode for a settable struct. The prefix precedes the names of the keys in Entries and in messages.
func (b *Block) decode(scope, prefix string, v *Value, out reflect.Value) {
	s := ShapeOf(out.Type())
	for _, p := range v.Pairs {
		if s.ByName[p.Key] == nil {
			b.unknownKey(scope, prefix, p, s)
		}
	}
	for _, f := range s.Fields {
		b.field(scope, prefix, v, f, out.FieldByIndex(f.Index))
	}
}

// field decodes the value of one field of a mapping, or sets its default.
func (b *Block) field(scope, prefix string, v *Value, f *Field, out reflect.Value) {
	path := prefix + f.Name
	p := v.Get(f.Name)
	if p != nil {
		b.addEntry(path, p.Value, f)
	}
	switch {
	case p != nil && !p.Value.Null:
		b.value(scope, path, p.Value, f, out)
		if f.Required && out.IsZero() {
			b.Complain(path, "it is empty: write %s", f.expected(f.Type))
		}
	case f.Required:
		b.Problemf(v.Mark, "%s is missing: add it", keyName(path))
	case p != nil && out.Kind() == reflect.Pointer: // null replaces a default
	default:
		setDefault(f, out)
	}
}

// Set sets a field to a YAML value that is a part of the program. It panics if the field can't have the value.
func (f *Field) Set(out reflect.Value, text string) { f.set(out, Literal(text)) }

func (f *Field) set(out reflect.Value, v *Value) {
	b := NewBlock(&Report{}, v.Mark)
	b.value("", f.Name, v, f, out)
	if err := b.Err(); err != nil {
		panic(err)
	}
}

// setDefault sets a field to its default, or the fields of a struct to theirs.
func setDefault(f *Field, out reflect.Value) {
	if f.Default != nil {
		f.set(out, f.Default)
		return
	}
	if t, ok := Structure(out.Type()); ok && out.Kind() == reflect.Struct {
		for _, inner := range ShapeOf(t).Fields {
			setDefault(inner, out.FieldByIndex(inner.Index))
		}
	}
}

// value decodes a value that isn't null.
func (b *Block) value(scope, path string, v *Value, f *Field, out reflect.Value) {
	_, isStruct := Structure(out.Type())
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

// structure decodes a mapping, or a single value for the field with the tag scalar.
func (b *Block) structure(scope, path string, v *Value, f *Field, out reflect.Value) {
	s := ShapeOf(out.Type())
	if v.Kind == Scalar && s.Scalar != nil {
		v = &Value{Mark: v.Mark, Kind: Mapping, Pairs: []Pair{{v.Mark, s.Scalar.Name, v}}, index: map[string]int{s.Scalar.Name: 0}}
	}
	if v.Kind == List && s.Scalar != nil {
		b.reject(path, v, "expected one value, got a list%s", b.hints().OneOnly[f.Name])
		return
	}
	if v.Kind != Mapping {
		b.reject(path, v, "expected a mapping with keys such as %s:, got %s", s.Fields[0].Name, v.Kind)
		return
	}
	inner := scope + "." + f.Name
	b.decode(strings.TrimPrefix(inner, "."), path+".", v, out)
}

// list decodes a list. A single value is a list of one element.
func (b *Block) list(scope, path string, v *Value, f *Field, out reflect.Value) {
	items := v.Items
	_, structs := Structure(out.Type().Elem())
	switch {
	case v.Kind == Scalar:
		items = []*Value{v}
	case v.Kind == Mapping && structs && HasScalarForm(out.Type().Elem()):
		items = []*Value{v}
	case v.Kind == Mapping && structs:
		b.reject(path, v, "expected a list of mappings, got a mapping: write \"- \" before its first key, and indent the others")
		return
	case v.Kind == Mapping:
		b.reject(path, v, "expected a list, got a mapping%s", vaultHint(v))
		return
	}
	result := reflect.MakeSlice(out.Type(), len(items), len(items))
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		b.addEntry(at, item, f)
		if item.Null {
			b.reject(at, item, "an element is empty: write its value, or take the \"- \" out")
			continue
		}
		b.value(scope, at, item, f, result.Index(i))
	}
	out.Set(result)
	if n := Atoi(f.Min); len(items) < n {
		b.reject(path, v, "the list is empty: write at least one value, or take the key out")
	}
}

// HasScalarForm reports whether a struct can be written as a single value. A list of one such struct needs no dash.
func HasScalarForm(t reflect.Type) bool {
	t, _ = Structure(t)
	return ShapeOf(t).Scalar != nil
}

// strings decodes a map[string]string.
func (b *Block) strings(path string, v *Value, f *Field, out reflect.Value) {
	if v.Kind != Mapping {
		b.reject(path, v, "expected a mapping of names to values, got %s", v.Kind)
		return
	}
	result := map[string]string{}
	for _, p := range v.Pairs {
		if text, ok := b.text(path+"."+p.Key, p.Value, f); ok {
			result[p.Key] = text
		}
	}
	out.Set(reflect.ValueOf(result))
}
