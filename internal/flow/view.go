package flow

import (
	"fmt"
	"reflect"
	"sync"
)

// A view gives flows access to the settings of a part. A flow takes the struct that it needs by its type, so that no flow
// depends on another flow's settings.
type view struct{ all reflect.Value }

// of returns the struct of type T in the settings. It panics if there is none, which is a programming error.
func of[T any](v view) *T {
	t := reflect.TypeFor[T]()
	at, known := structsFound.Load(t)
	if !known {
		index, found := findStruct(v.all.Type(), t)
		if !found {
			panic(fmt.Sprintf("flow: the settings have no %v", t))
		}
		at, _ = structsFound.LoadOrStore(t, index)
	}
	return v.all.FieldByIndex(at.([]int)).Addr().Interface().(*T)
}

// structsFound has what findStruct found in the type of all settings, by the type that was looked for.
var structsFound sync.Map

// findStruct returns the index of the first struct of type t in the type in, at any depth, as FieldByIndex takes it.
func findStruct(in, t reflect.Type) (index []int, found bool) {
	if in == t {
		return nil, true
	}
	for n := range in.NumField() {
		f := in.Field(n)
		if f.Type.Kind() != reflect.Struct || !f.IsExported() {
			continue
		}
		if index, found := findStruct(f.Type, t); found {
			return append([]int{n}, index...), true
		}
	}
	return nil, false
}
