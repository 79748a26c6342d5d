package strict

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

// A Shape is the keys that a struct is decoded from. The tags of its fields are:
//
//	yaml:"name"       the key; with ",inline", or for an embedded struct, the keys of a struct are keys of the outer one
//	prefix:"a_"       of an inline struct: precedes the names of its keys
//	default:"30s"     the value of a key that is missing or null: for a list its YAML, else the text
//	unit:"ms"         the unit of a number without one, for a time.Duration; default seconds
//	enum:"a,b"        the values that a string, or each element of a list, can have; or the struct's method Enums
//	min:"1" max:"9"   bounds of an int or a time.Duration; min also of the length of a list
//	required:"true"   the key must be written and its value not empty
//	scalar:"true"     a single value in place of the struct is the value of this field
//	lines:"true"      a string can have line breaks and tabs
//	live:"true"       the file of this name is read again when it changes, without a reload
//
// Decode doesn't use these, which package config reads:
//
//	group:"issuer"    a route that has the key issuer doesn't inherit this key
//	per_client:"true" the elements of the list belong to the elements of client_id by index
//	place:"true"      a place in requests that is read before the issuer of the request is known, so all entries of issuers must agree
type Shape struct {
	Fields []*Field
	ByName map[string]*Field
	Scalar *Field // the field with the tag scalar, or nil
}

// A describer is a type that describes its values for the message "expected ..., got ...".
type describer interface{ Wants() string }

// Choices is a string type whose values and defaults depend on the setting.
type Choices interface {
	// Choices returns the values that the setting key can have, and its default.
	Choices(key string) (values, defaults []string)
}

// A Field is a key that a struct field is decoded from. See Shape.
type Field struct {
	Name      string
	Index     []int // for reflect.Value.FieldByIndex
	Type      reflect.Type
	Default   *Value // nil: the zero value
	unit      time.Duration
	Enum      []string // nil: any value
	Min, Max  string   // empty: no bound
	Required  bool
	Lines     bool
	Group     string
	Place     bool
	PerClient bool
	Live      bool // the file of this name is read again when it changes, without a reload
}

var shapes sync.Map // reflect.Type to *Shape

// The types that are decoded from a single value in a way of their own.
var (
	SecretType   = reflect.TypeFor[auth.Secret]()
	DurationType = reflect.TypeFor[time.Duration]()
	TextType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// ShapeFor returns the shape of the struct type T. It panics if the tags are wrong.
func ShapeFor[T any]() *Shape { return ShapeOf(reflect.TypeFor[T]()) }

// ShapeOf returns the shape of a struct type. It panics if the tags are wrong.
func ShapeOf(t reflect.Type) *Shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*Shape)
	}
	s := &Shape{ByName: map[string]*Field{}}
	s.collect(t, nil, "")
	for _, f := range s.Fields {
		if s.ByName[f.Name] != nil {
			panic(fmt.Sprintf("strict: %v has two keys %s", t, f.Name))
		}
		s.ByName[f.Name] = f
		if t.FieldByIndex(f.Index).Tag.Get("scalar") == "true" {
			s.Scalar = f
		}
	}
	shapes.Store(t, s)
	return s
}

// collect adds the fields of a struct type at an index of the outermost struct. The prefix precedes their names.
func (s *Shape) collect(t reflect.Type, index []int, prefix string) {
	var enums map[string][]string
	if e, ok := reflect.Zero(t).Interface().(interface{ Enums() map[string][]string }); ok {
		enums = e.Enums()
	}
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(append([]int(nil), index...), i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case option == "inline" || f.Anonymous && name == "":
			s.collect(f.Type, at, prefix+f.Tag.Get("prefix"))
		case name != "":
			field := newField(f, prefix+name, at)
			if values := enums[name]; values != nil {
				field.Enum = values
			}
			s.Fields = append(s.Fields, field)
		default:
			panic(fmt.Sprintf("strict: %v.%s has no yaml tag", t, f.Name))
		}
	}
}

// newField returns the field with the tags of a struct field.
func newField(f reflect.StructField, name string, index []int) *Field {
	tag := f.Tag
	out := &Field{
		Name: name, Index: index, Type: f.Type, Min: tag.Get("min"), Max: tag.Get("max"), Required: tag.Get("required") == "true",
		Lines: tag.Get("lines") == "true", unit: time.Second,
		Group: tag.Get("group"), PerClient: tag.Get("per_client") == "true", Place: tag.Get("place") == "true",
		Live: tag.Get("live") == "true",
	}
	if tag.Get("unit") == "ms" {
		out.unit = time.Millisecond
	}
	if enum := tag.Get("enum"); enum != "" {
		out.Enum = strings.Split(enum, ",")
	}
	if c, ok := reflect.Zero(Element(f.Type)).Interface().(Choices); ok {
		values, defaults := c.Choices(name)
		if out.Enum = values; len(defaults) > 0 {
			out.Default = &Value{Kind: List}
		}
		for _, text := range defaults {
			out.Default.Items = append(out.Default.Items, &Value{Kind: Scalar, Text: text})
		}
	}
	if text, ok := tag.Lookup("default"); ok {
		out.Default = &Value{Kind: Scalar, Text: text}
		if f.Type.Kind() == reflect.Slice {
			out.Default = Literal(text)
		}
	}
	return out
}

// Literal parses a YAML value that is a part of the program. It panics on an error.
func Literal(text string) *Value {
	var r Report
	v := r.Parse("program", []byte("v: "+text))
	if err := r.Err(); err != nil {
		panic(err)
	}
	return v.Pairs[0].Value
}

// Structure returns the type below pointers, and reports whether it is a struct that is decoded from a mapping.
func Structure(t reflect.Type) (reflect.Type, bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(TextType)
}

// IsObject reports whether the field is decoded from a mapping or a list of mappings.
func (f *Field) IsObject() bool {
	t := f.Type
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	_, isStruct := Structure(t)
	return isStruct || t.Kind() == reflect.Map
}

// expected describes the values of the field, or of its elements, whose type is t.
func (f *Field) expected(t reflect.Type) string {
	switch {
	case len(f.Enum) == 1:
		return f.Enum[0]
	case f.Enum != nil:
		return "one of " + strings.Join(f.Enum, ", ")
	case t == DurationType && f.unit == time.Millisecond:
		return "a time such as 500ms or 10s, or a number of milliseconds"
	case t == DurationType:
		return "a time such as 30s, 30m or 1h30m, or a number of seconds"
	case t == reflect.TypeFor[bool]():
		return "true or false"
	}
	if d, ok := reflect.Zero(t).Interface().(describer); ok {
		return d.Wants()
	}
	kinds := map[reflect.Kind]string{
		reflect.Int: "a whole number", reflect.Struct: "a mapping", reflect.Map: "a mapping", reflect.Slice: "a list",
	}
	return cmp.Or(kinds[t.Kind()], "a single value")
}
