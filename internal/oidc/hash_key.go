package oidc

import (
	"fmt"
	"reflect"
	"strconv"

	"sallyport/internal/cache"
)

// hashKey returns the secret with which a client hashes its cache keys. It is derived from all settings, because they shape requests and
// the verification of responses: clients with other settings never get this client's responses, also from a cache that they share. It is
// the same in every process.
func hashKey(c ClientConfig) []byte {
	key := cache.KeyOf(c.HashKey, leaves(nil, reflect.ValueOf(c.Settings))...)
	return key[:]
}

// leaves appends the values in settings to all, in their order.
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
	case reflect.String: // fmt would redact a secret
		return append(all, v.String())
	}
	return append(all, fmt.Sprint(v))
}
