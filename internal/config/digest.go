package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"

	"sallyport/internal/strict"
)

// Digest returns the first 16 hex digits of a SHA-256 of the settings without their secrets. Replicas with equal settings have equal
// digests.
func (f *File) Digest() string {
	settings := *f
	settings.Name = ""
	h := sha256.New()
	digest(h, reflect.ValueOf(settings))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// digest writes the exported values in v, without secrets.
func digest(w io.Writer, v reflect.Value) {
	kind := v.Kind()
	if v.Type() == strict.SecretType {
		return
	}
	if s, ok := v.Interface().(fmt.Stringer); ok && kind != reflect.Pointer { // such as a Prefix, whose fields aren't exported
		fmt.Fprintf(w, "%q ", s.String())
		return
	}
	switch kind {
	case reflect.Struct:
		for n := range v.NumField() {
			if v.Type().Field(n).IsExported() {
				digest(w, v.Field(n))
			}
		}
	case reflect.Slice:
		fmt.Fprintf(w, "[%d ", v.Len())
		for n := range v.Len() {
			digest(w, v.Index(n))
		}
	case reflect.Pointer:
		fmt.Fprintf(w, "&%t ", v.IsNil())
		if !v.IsNil() {
			digest(w, v.Elem())
		}
	default:
		fmt.Fprintf(w, "%q ", fmt.Sprint(v))
	}
}
