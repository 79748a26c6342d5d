package oidc

import (
	"fmt"
	"reflect"
	"strconv"

	"sallyport/internal/cache"
)

// hashKey returns the key of the keys of a client's kept answers. It is made of all its settings, because they shape what
// is asked and how the answer is judged: clients of other settings have none of its answers, in a cache that they share
// either. It is the same in every process.
func hashKey(c ClientConfig) []byte {
	key := cache.KeyOf(c.HashKey, leaves(nil, reflect.ValueOf(c.Settings))...)
	return key[:]
}

// leaves adds the values in settings to all, in their order.
func leaves(all []string, v reflect.Value) []string {
	switch v.Kind() {
	case reflect.Struct:
		for n := range v.NumField() {
			all = leaves(all, v.Field(n))
		}
		return all
	case reflect.Slice:
		all = append(all, strconv.Itoa(v.Len()))
		for n := range v.Len() {
			all = leaves(all, v.Index(n))
		}
		return all
	case reflect.Pointer:
		if v.IsNil() {
			return append(all, "nil")
		}
		return leaves(append(all, "&"), v.Elem())
	case reflect.String: // a secret, too, would print as none
		return append(all, v.String())
	}
	return append(all, fmt.Sprint(v))
}
