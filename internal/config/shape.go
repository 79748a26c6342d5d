package config

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"sallyport/internal/auth"
)

// A shape is what the tags of a struct's fields say:
//
//	yaml:"name"       the key; ",inline", like embedding, takes a struct's fields in as if they stood here
//	default:"30s"     for a key that is absent or null: of a list its YAML, else the text as it is
//	unit:"ms"         what a bare number counts, for a time.Duration; seconds if there is none
//	enum:"a,b"        the values that a string, or each element of a list, may have
//	min:"1" max:"9"   of an int or a time.Duration, and of a list's length
//	required:"true"   the key must be there, and not empty
//	scalar:"true"     a single value given for the whole struct is this field
//	lines:"true"      of a string: line breaks and tabs may stand in it
//	group:"issuer"    a route that writes the key issuer doesn't inherit this key
//	per_client:"true" of a list: it is read by the index of client_id
//	prefix:"a_"       of an inline struct: before the names of its keys
//	place:"true"      where in a request something stands that is read before it is known of which issuer: all entries of issuers agree
type shape struct {
	fields []field
	byName map[string]*field
	scalar *field
}

// choices is a type of texts that knows the values of each setting, and those that it has where it isn't written.
type choices interface {
	Choices(key string) (values, defaults []string)
}

type field struct {
	name     string
	index    []int
	typ      reflect.Type
	fallback *value // nil: the zero value
	unit     time.Duration
	enum     []string
	min, max string
	required bool
	lines    bool
	group    string
	place    bool

	perClient bool
}

var (
	shapes       sync.Map // reflect.Type to *shape
	secretType   = reflect.TypeFor[auth.Secret]()
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// shapeOf returns the shape of a struct type. A tag that makes no sense is a fault of the program: it panics.
func shapeOf(t reflect.Type) *shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*shape)
	}
	s := &shape{byName: map[string]*field{}}
	s.collect(t, nil, "")
	for i := range s.fields {
		f := &s.fields[i]
		if s.byName[f.name] != nil {
			panic(fmt.Sprintf("config: %v has two keys %s", t, f.name))
		}
		s.byName[f.name] = f
		if t.FieldByIndex(f.index).Tag.Get("scalar") == "true" {
			s.scalar = f
		}
	}
	shapes.Store(t, s)
	return s
}

func (s *shape) collect(t reflect.Type, index []int, prefix string) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(append([]int(nil), index...), i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case option == "inline" || f.Anonymous && name == "":
			s.collect(f.Type, at, prefix+f.Tag.Get("prefix"))
		case name != "":
			s.fields = append(s.fields, newField(f, prefix+name, at))
		default:
			panic(fmt.Sprintf("config: %v.%s has no yaml tag", t, f.Name))
		}
	}
}

func newField(f reflect.StructField, name string, index []int) field {
	tag := f.Tag
	out := field{
		name: name, index: index, typ: f.Type, min: tag.Get("min"), max: tag.Get("max"), required: tag.Get("required") == "true",
		group: tag.Get("group"), lines: tag.Get("lines") == "true", place: tag.Get("place") == "true", unit: time.Second,
		perClient: tag.Get("per_client") == "true",
	}
	if tag.Get("unit") == "ms" {
		out.unit = time.Millisecond
	}
	if enum := tag.Get("enum"); enum != "" {
		out.enum = strings.Split(enum, ",")
	}
	if c, ok := reflect.Zero(element(f.Type)).Interface().(choices); ok {
		values, defaults := c.Choices(name)
		if out.enum = values; len(defaults) > 0 {
			out.fallback = &value{kind: list}
		}
		for _, text := range defaults {
			out.fallback.items = append(out.fallback.items, &value{kind: scalar, text: text})
		}
	}
	if text, ok := tag.Lookup("default"); ok {
		out.fallback = &value{kind: scalar, text: text}
		if f.Type.Kind() == reflect.Slice {
			out.fallback = literal(text)
		}
	}
	return out
}

// literal parses YAML that stands in the program.
func literal(text string) *value {
	var r report
	v := r.parse("program", []byte("v: "+text))
	if err := r.err(); err != nil {
		panic(err)
	}
	return v.pairs[0].value
}

// structure returns the struct type below pointers, and whether there is one that has keys of its own.
func structure(t reflect.Type) (reflect.Type, bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(textType)
}

// object reports whether the field is a mapping, or a list of mappings, in the file.
func (f *field) object() bool {
	t := f.typ
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	_, isStruct := structure(t)
	return isStruct || t.Kind() == reflect.Map
}

// wants describes the values of a type.
func (f *field) wants(t reflect.Type) string {
	switch {
	case len(f.enum) == 1:
		return f.enum[0]
	case f.enum != nil:
		return "one of " + strings.Join(f.enum, ", ")
	case t == durationType && f.unit == time.Millisecond:
		return "a time such as 500ms or 10s, or a number of milliseconds"
	case t == durationType:
		return "a time such as 30s, 30m or 1h30m, or a number of seconds"
	case t == reflect.TypeFor[bool]():
		return "true or false"
	}
	names := map[reflect.Kind]string{reflect.Int: "a whole number", reflect.Struct: "a mapping", reflect.Map: "a mapping", reflect.Slice: "a list"}
	if t == reflect.TypeFor[Prefix]() {
		return "an address or a network such as 10.0.0.0/8"
	}
	return cmp.Or(names[t.Kind()], "a single value")
}
