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

// A Shape is what the tags of a struct's fields say:
//
//	yaml:"name"       the key; ",inline", like embedding, takes a struct's fields in as if they stood here
//	default:"30s"     for a key that is absent or null: of a list its YAML, else the text as it is
//	unit:"ms"         what a bare number counts, for a time.Duration; seconds if there is none
//	enum:"a,b"        the values that a string, or each element of a list, may have; a struct can return long lists by key: Enums
//	min:"1" max:"9"   of an int or a time.Duration, and of a list's length
//	required:"true"   the key must be there, and not empty
//	scalar:"true"     a single value given for the whole struct is this field
//	lines:"true"      of a string: line breaks and tabs may stand in it
//	group:"issuer"    a route that writes the key issuer doesn't inherit this key
//	per_client:"true" of a list: it is read by the index of client_id
//	prefix:"a_"       of an inline struct: before the names of its keys
//	place:"true"      where in a request something stands that is read before it is known of which issuer: all entries of issuers agree
type Shape struct {
	Fields []Field
	ByName map[string]*Field
	Scalar *Field
}

// A wants is a type that says what its values look like.
type wants interface{ Wants() string }

// Choices is a type of texts that knows the values of each setting, and those that it has where it isn't written.
type Choices interface {
	Choices(key string) (values, defaults []string)
}

type Field struct {
	Name     string
	Index    []int
	Type     reflect.Type
	Default  *Value // nil: the zero value
	unit     time.Duration
	Enum     []string
	Min, Max string
	Required bool
	Lines    bool
	Group    string
	Place    bool

	PerClient bool
}

var (
	shapes       sync.Map // reflect.Type to *shape
	SecretType   = reflect.TypeFor[auth.Secret]()
	DurationType = reflect.TypeFor[time.Duration]()
	TextType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// ShapeOf returns the shape of a struct type. A tag that makes no sense is a fault of the program: it panics.
func ShapeOf(t reflect.Type) *Shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*Shape)
	}
	s := &Shape{ByName: map[string]*Field{}}
	s.collect(t, nil, "")
	for i := range s.Fields {
		f := &s.Fields[i]
		if s.ByName[f.Name] != nil {
			panic(fmt.Sprintf("config: %v has two keys %s", t, f.Name))
		}
		s.ByName[f.Name] = f
		if t.FieldByIndex(f.Index).Tag.Get("scalar") == "true" {
			s.Scalar = f
		}
	}
	shapes.Store(t, s)
	return s
}

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
			panic(fmt.Sprintf("config: %v.%s has no yaml tag", t, f.Name))
		}
	}
}

func newField(f reflect.StructField, name string, index []int) Field {
	tag := f.Tag
	out := Field{
		Name: name, Index: index, Type: f.Type, Min: tag.Get("min"), Max: tag.Get("max"), Required: tag.Get("required") == "true",
		Group: tag.Get("group"), Lines: tag.Get("lines") == "true", Place: tag.Get("place") == "true", unit: time.Second,
		PerClient: tag.Get("per_client") == "true",
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

// Literal parses YAML that stands in the program.
func Literal(text string) *Value {
	var r Report
	v := r.Parse("program", []byte("v: "+text))
	if err := r.Err(); err != nil {
		panic(err)
	}
	return v.Pairs[0].Value
}

// Structure returns the struct type below pointers, and whether there is one that has keys of its own.
func Structure(t reflect.Type) (reflect.Type, bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t, t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(TextType)
}

// IsObject reports whether the field is a mapping, or a list of mappings, in the file.
func (f *Field) IsObject() bool {
	t := f.Type
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	_, isStruct := Structure(t)
	return isStruct || t.Kind() == reflect.Map
}

// wants describes the values of a type.
func (f *Field) wants(t reflect.Type) string {
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
	names := map[reflect.Kind]string{reflect.Int: "a whole number", reflect.Struct: "a mapping", reflect.Map: "a mapping", reflect.Slice: "a list"}
	if w, ok := reflect.Zero(t).Interface().(wants); ok {
		return w.Wants()
	}
	return cmp.Or(names[t.Kind()], "a single value")
}
