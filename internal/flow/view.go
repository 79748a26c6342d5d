package flow

import (
	"fmt"
	"reflect"
)

// A view is the settings of a part as the flows see them: each takes the struct that it knows out of them by its type, so that no flow
// depends on another's settings.
type view struct{ all reflect.Value }

// of returns the part of the settings that has a type. It panics if there is none: that is a fault of the program.
func of[T any](v view) *T {
	if p := findStruct(v.all, reflect.TypeFor[T]()); p != nil {
		return p.(*T)
	}
	panic(fmt.Sprintf("flow: the settings have no %v", reflect.TypeFor[T]()))
}

// find returns a pointer to the first struct of a type in v or below, or nil.
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
