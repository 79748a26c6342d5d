package strict

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/check"
)

// Hints say what a file may have meant by what no setting has. Each may be nil.
type Hints struct {
	// Unknown returns the complaint about a key that no field has; empty: the key may stand there. Scope names the kind of mapping, and
	// path the key with those around it.
	Unknown func(scope, path string, p Pair, s *Shape) string
	// Value returns why a value of a setting isn't taken; empty: it is.
	Value func(scope, key, text string) string
	// OneOnly says, by key, what to write for several values where one is expected.
	OneOnly map[string]string
}

// hints returns the report's.
func (b *Block) hints() *Hints {
	if b.Report.Hints == nil {
		return &Hints{}
	}
	return b.Report.Hints
}

// unknown reports a key that no field has.
func (b *Block) unknown(scope, prefix string, p Pair, s *Shape) {
	text := fmt.Sprintf("unknown key %s", keyName(prefix+p.Key))
	if unknown := b.hints().Unknown; unknown != nil {
		text = unknown(scope, keyName(prefix+p.Key), p, s)
	}
	if text != "" {
		b.Problemf(p.Mark, "%s", text)
	}
}

// Checker returns a Checker that reports to the block.
func (b *Block) Checker() check.Checker { return check.Checker{Report: b} }

// A Block is a part of the configuration while it is read and checked: a route with its oidc Block, a rule, or the keys of
// the process. It remembers where each key stands, so that later checks can name the line.
type Block struct {
	*Report
	Home    Mark
	Entries map[string]*Entry
}

// An Entry is a key as it is written. Keys of mappings below a block are joined with dots, elements of lists are name[0].
type Entry struct {
	Mark
	text string // of a scalar, for messages: unexpanded; empty if it must not be shown
	Set  bool   // to something else than null
	Bad  bool   // it was complained about, so that no check needs to
}

func NewBlock(r *Report, home Mark) *Block {
	return &Block{Report: r, Home: home, Entries: map[string]*Entry{}}
}

// enclosing is the path of the mapping or list around a key, or "" at the top.
func enclosing(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// Find returns the entry of a key, or of what encloses it, or of the block.
func (b *Block) Find(path string) *Entry {
	for ; path != ""; path = enclosing(path) {
		if e := b.Entries[path]; e != nil {
			return e
		}
	}
	return &Entry{Mark: b.Home}
}

// IsSet reports whether a key is written, with another value than null.
func (b *Block) IsSet(path string) bool { return b.Entries[path] != nil && b.Entries[path].Set }

// Complain reports a mistake in the value of a key, unless one is reported already.
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

// Warn reports what one should know of a key.
func (b *Block) Warn(path, format string, args ...any) {
	b.Warningf(b.Find(path).Mark, "%s: %s", keyName(path), fmt.Sprintf(format, args...))
}

// spoil reports a mistake in a value that was read, which later checks then leave alone.
func (b *Block) spoil(path string, v *Value, format string, args ...any) {
	b.Problemf(v.Mark, "%s: %s", keyName(path), fmt.Sprintf(format, args...))
	for p := path; p != ""; p = enclosing(p) {
		if e := b.Entries[p]; e != nil {
			e.Bad = true
		}
	}
}

// IsBad reports whether a mistake of a key, or of what encloses it, is reported already.
func (b *Block) IsBad(path string) bool { return b.Find(path).Bad }

// Missing reports a key that must be there, at the oidc block.
func (b *Block) Missing(key, write string) {
	if !b.Find(key).Bad {
		b.Problemf(b.Find("oidc").Mark, "%s is missing: write %s", key, write)
	}
}

// Shown returns a value as it stands in the file, quoted for a message.
func (b *Block) Shown(path string) string { return check.Quote(b.Find(path).text) }

// Place returns where a key stands, as seen from another key.
func (b *Block) Place(key, from string) string { return b.Find(key).Mark.From(b.Find(from).Mark) }

// InOrder returns headers as their settings are read: what a block inherits from another file comes before its own.
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

// enter remembers where a key stands.
func (b *Block) enter(path string, v *Value, f *Field) {
	e := &Entry{Mark: v.Mark, Set: !v.Null}
	if v.Kind == Scalar && !IsSecret(f.Type) {
		e.text = v.Text
	}
	b.Entries[path] = e
}

// Decode reads a mapping into the struct that out is. The scope names the kind of mapping for keys that it doesn't know;
// prefix goes before the keys' names in messages.
func (b *Block) Decode(scope, prefix string, v *Value, out reflect.Value) {
	s := ShapeOf(out.Type())
	for _, p := range v.Pairs {
		if s.ByName[p.Key] == nil {
			b.unknown(scope, prefix, p, s)
		}
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		b.field(scope, prefix, v, f, out.FieldByIndex(f.Index))
	}
}

func (b *Block) field(scope, prefix string, v *Value, f *Field, out reflect.Value) {
	path := prefix + f.Name
	p := v.Get(f.Name)
	if p != nil {
		b.enter(path, p.Value, f)
	}
	switch {
	case p != nil && !p.Value.Null:
		b.value(scope, path, p.Value, f, out)
		if f.Required && out.IsZero() {
			b.Complain(path, "it is empty: write %s", f.wants(f.Type))
		}
	case f.Required:
		b.Problemf(v.Mark, "%s is missing: add it", keyName(path))
	case p != nil && out.Kind() == reflect.Pointer: // null says no to a default, too
	default:
		fill(f, out)
	}
}

// fill gives a field its default.
func fill(f *Field, out reflect.Value) {
	if f.Default != nil {
		b := NewBlock(&Report{}, f.Default.Mark)
		b.value("", f.Name, f.Default, f, out)
		if err := b.Err(); err != nil {
			panic(err)
		}
		return
	}
	if t, ok := Structure(out.Type()); ok && out.Kind() == reflect.Struct {
		for i := range ShapeOf(t).Fields {
			inner := &ShapeOf(t).Fields[i]
			fill(inner, out.FieldByIndex(inner.Index))
		}
	}
}

// value reads a value that isn't null.
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

func (b *Block) structure(scope, path string, v *Value, f *Field, out reflect.Value) {
	s := ShapeOf(out.Type())
	if v.Kind == Scalar && s.Scalar != nil {
		v = &Value{Mark: v.Mark, Kind: Mapping, Pairs: []Pair{{v.Mark, s.Scalar.Name, v}}, index: map[string]int{s.Scalar.Name: 0}}
	}
	if v.Kind == List && s.Scalar != nil {
		b.spoil(path, v, "expected one value, got a list%s", b.hints().OneOnly[f.Name])
		return
	}
	if v.Kind != Mapping {
		b.spoil(path, v, "expected a mapping with keys such as %s:, got %s", s.Fields[0].Name, v.Kind)
		return
	}
	inner := scope + "." + f.Name
	b.Decode(strings.TrimPrefix(inner, "."), path+".", v, out)
}

func (b *Block) list(scope, path string, v *Value, f *Field, out reflect.Value) {
	items := v.Items
	_, structs := Structure(out.Type().Elem())
	switch {
	case v.Kind == Scalar:
		items = []*Value{v}
	case v.Kind == Mapping && structs && HasScalarForm(out.Type().Elem()):
		items = []*Value{v}
	case v.Kind == Mapping && structs:
		b.spoil(path, v, "expected a list of mappings, got a mapping: write \"- \" before its first key, and indent the others")
		return
	case v.Kind == Mapping:
		b.spoil(path, v, "expected a list, got a mapping%s", vaultHint(v))
		return
	}
	result := reflect.MakeSlice(out.Type(), len(items), len(items))
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		b.enter(at, item, f)
		if item.Null {
			b.spoil(at, item, "an element is empty: write its value, or take the \"- \" out")
			continue
		}
		b.value(scope, at, item, f, result.Index(i))
	}
	out.Set(result)
	if n := Atoi(f.Min); len(items) < n {
		b.spoil(path, v, "the list is empty: write at least one value, or take the key out")
	}
}

// HasScalarForm reports whether a struct can be written as a single value: then a list of one needs no dash for a mapping either.
func HasScalarForm(t reflect.Type) bool {
	t, _ = Structure(t)
	return ShapeOf(t).Scalar != nil
}

// strings reads a map[string]string.
func (b *Block) strings(path string, v *Value, f *Field, out reflect.Value) {
	if v.Kind != Mapping {
		b.spoil(path, v, "expected a mapping of names to values, got %s", v.Kind)
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
