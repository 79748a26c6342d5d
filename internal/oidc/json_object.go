package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"

	josejson "github.com/go-jose/go-jose/v4/json"
)

var (
	errNotObject = errors.New("expected a JSON object")
	errTrailing  = errors.New("bytes after the JSON object")
	errRepeated  = errors.New("the member is repeated") // different readers take different values of it
)

// decodeObject decodes one JSON object. It compares names exactly and refuses a repeated name, of which different readers take different
// values. Whole numbers become int64, others float64.
func decodeObject(b []byte) (map[string]any, error) {
	d := josejson.NewDecoder(bytes.NewReader(b))
	d.SetNumberType(josejson.UnmarshalIntOrFloat)
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errNotObject
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errTrailing
	}
	return m, nil
}

// An ignoredMember is a member of a JSON object that counts as absent.
type ignoredMember struct {
	name   string
	reason error
}

// members returns the members of one JSON object as they are written, and reports which of them are repeated.
func members(b []byte) (all map[string]json.RawMessage, repeated map[string]bool, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	begin, err := d.Token()
	if err != nil {
		return nil, nil, err
	}
	if begin != json.Delim('{') {
		return nil, nil, errNotObject
	}
	all, repeated = map[string]json.RawMessage{}, map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, nil, err
		}
		name := token.(string) // a Decoder returns no other token before a value of an object
		_, repeated[name] = all[name]
		all[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, errTrailing
	}
	return all, repeated, nil
}

// readMembers decodes one JSON object into the struct that into points to, by the json tags of its fields. Unlike [json.Unmarshal] it
// compares names exactly and decodes each member by itself: a member that is repeated or has another type than its field counts as absent,
// and is returned in ignored. The error says that b isn't a JSON object.
func readMembers(b []byte, into any) (ignored []ignoredMember, err error) {
	all, repeated, err := members(b)
	if err != nil {
		return nil, err
	}
	v := reflect.ValueOf(into).Elem()
	for _, field := range reflect.VisibleFields(v.Type()) {
		name := field.Tag.Get("json")
		value, present := all[name]
		switch {
		case name == "" || !present || string(value) == "null":
		case repeated[name]:
			ignored = append(ignored, ignoredMember{name, errRepeated})
		default:
			ignored = append(ignored, readMember(name, value, v.FieldByIndex(field.Index))...)
		}
	}
	return ignored, nil
}

// readMember decodes one member into its field.
func readMember(name string, value []byte, field reflect.Value) (ignored []ignoredMember) {
	if field.Kind() != reflect.Struct {
		if json.Unmarshal(value, field.Addr().Interface()) != nil {
			field.SetZero()
			ignored = append(ignored, ignoredMember{name, fmt.Errorf("expected %s, got %s", typeName(field.Type()), clip(string(value)))})
		}
		return ignored
	}
	inner, err := readMembers(value, field.Addr().Interface())
	if err != nil {
		return []ignoredMember{{name, fmt.Errorf("expected an object, got %s", clip(string(value)))}}
	}
	for _, m := range inner {
		ignored = append(ignored, ignoredMember{name + "." + m.name, m.reason})
	}
	return ignored
}

// typeName names the JSON type of a field in an error.
func typeName(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return "a list of strings"
	}
	return "a list"
}
