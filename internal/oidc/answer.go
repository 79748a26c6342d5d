package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	josejson "github.com/go-jose/go-jose/v4/json"
)

// An answer is a response of the authorization server, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// bom is the mark that some servers put before their JSON. A reader may ignore it (RFC 8259 §8.1).
var bom = []byte("\xef\xbb\xbf")

// json returns the body without a byte order mark.
func (a *answer) json() []byte { return bytes.TrimPrefix(a.body, bom) }

// jwt returns the body of an answer that is a JWT.
func (a *answer) jwt() string { return strings.TrimSpace(string(a.json())) }

// object reads the body as tokens or claims: one JSON object, as decodeObject does.
func (a *answer) object() (map[string]any, error) { return decodeObject(a.json()) }

// decodeObject reads one JSON object whose names are exact and not repeated (a repeated name means different things to
// different readers); whole numbers become int64, others float64.
func decodeObject(b []byte) (map[string]any, error) {
	d := josejson.NewDecoder(bytes.NewReader(b))
	d.SetNumberType(josejson.UnmarshalIntOrFloat)
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errors.New("expected a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("bytes after the JSON object")
	}
	return m, nil
}

// A skipped is a member of an answer that counts as absent, and why.
type skipped struct {
	member string
	reason error
}

// errTwice says that nobody knows which of a member's values counts.
var errTwice = errors.New("it stands there twice")

// members returns the members of one JSON object as they are written, and which of them stand there twice.
func members(b []byte) (all map[string]json.RawMessage, twice map[string]bool, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	begin, err := d.Token()
	if err != nil {
		return nil, nil, err
	}
	if begin != json.Delim('{') {
		return nil, nil, errors.New("expected a JSON object")
	}
	all, twice = map[string]json.RawMessage{}, map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, nil, err
		}
		key := name.(string) // what stands before a value in an object
		_, twice[key] = all[key]
		all[key] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, errors.New("bytes after the JSON object")
	}
	return all, twice, nil
}

// readMembers reads one JSON object into the fields of the struct that into points to, by their json tags. It reads each member
// by itself: one that is not what its field needs counts as absent. The error says that the whole is no JSON object.
func readMembers(b []byte, into any) (odd []skipped, err error) {
	all, twice, err := members(b)
	if err != nil {
		return nil, err
	}
	v := reflect.ValueOf(into).Elem()
	for n := range v.NumField() {
		name := v.Type().Field(n).Tag.Get("json")
		value, there := all[name]
		switch {
		case !there || string(value) == "null":
		case twice[name]:
			odd = append(odd, skipped{name, errTwice})
		default:
			odd = append(odd, readMember(name, value, v.Field(n))...)
		}
	}
	return odd, nil
}

// readMember reads one member into its field.
func readMember(name string, value []byte, field reflect.Value) (odd []skipped) {
	if field.Kind() != reflect.Struct {
		if json.Unmarshal(value, field.Addr().Interface()) != nil {
			field.SetZero()
			odd = append(odd, skipped{name, fmt.Errorf("expected %s, got %s", kindOf(field.Type()), clip(string(value)))})
		}
		return odd
	}
	inner, err := readMembers(value, field.Addr().Interface())
	if err != nil {
		return []skipped{{name, fmt.Errorf("expected an object, got %s", clip(string(value)))}}
	}
	for _, s := range inner {
		odd = append(odd, skipped{name + "." + s.member, s.reason})
	}
	return odd
}

// kindOf says what a field's JSON has to be.
func kindOf(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Elem().Kind() == reflect.String:
		return "a list of strings"
	}
	return "a list"
}

// maxTold bounds what is remembered of the log.
const maxTold = 1000

// tell logs, once, what of an answer counts as absent. Answers come again and again, and the log need not.
func (i *Issuer) tell(document string, odd []skipped) {
	for _, s := range odd {
		if i.isNew(document + " " + s.member + " " + s.reason.Error()) {
			i.log.Warn("a part of the issuer's answer is ignored", "issuer", i.url, "answer", document, "member", s.member, "error", s.reason)
		}
	}
}

// isNew reports whether the log hasn't said a text yet, and remembers it.
func (i *Issuer) isNew(text string) bool {
	i.telling.Lock()
	defer i.telling.Unlock()
	if i.told[text] {
		return false
	}
	if len(i.told) >= maxTold {
		clear(i.told)
	}
	i.told[text] = true
	return true
}
