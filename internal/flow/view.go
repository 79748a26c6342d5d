package flow

import (
	"fmt"
	"reflect"
)

// A view gives flows access to the settings of a part. A flow takes the struct that it needs by its type, so that no flow
// depends on another flow's settings.
type view struct{ all reflect.Value }

// of returns the struct of type T in the settings. It panics if there is none, which is a programming error.
func of[T any](v view) *T {
	if p := findStruct(v.all, reflect.TypeFor[T]()); p != nil {
		return p.(*T)
	}
	panic(fmt.Sprintf("flow: the settings have no %v", reflect.TypeFor[T]()))
}

// findStruct returns a pointer to the first struct of type t in v, at any depth, or nil.
func findStruct(v reflect.Value, t reflect.Type) any {
	if v.Type() == t {
		return v.Addr().Interface()
	}
	for n := range v.NumField() {
		if f := v.Field(n); f.Kind() == reflect.Struct && v.Type().Field(n).IsExported() {
			if p := findStruct(f, t); p != nil {
				return p
			}
		}
	}
	return nil
}
