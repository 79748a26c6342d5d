package cache

import (
	"crypto/sha256"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
)

// KeyOfSettings returns the key of a struct of settings: the HMAC of all values in it, secrets included. Equal settings have equal keys in
// every process that has the secret.
func KeyOfSettings(secret []byte, settings any) Key { return keyOfSettings(secret, settings, false) }

// KeyOfSettingsAndFiles returns a key as KeyOfSettings does, which also depends on the contents of the files that the settings name: of
// every string field whose yaml name ends in _file. Files that are read again when they change don't count: those of fields with the tag
// live, and lists of files such as client_assertion_file. A file that can't be read counts as empty, and is reported by the code that
// needs it.
func KeyOfSettingsAndFiles(secret []byte, settings any) Key {
	return keyOfSettings(secret, settings, true)
}

func keyOfSettings(secret []byte, settings any, files bool) Key {
	w := settingsWalker{files: files}
	w.walk(reflect.ValueOf(settings))
	return KeyOf(secret, w.values...)
}

// A settingsWalker collects the values in settings, in their order.
type settingsWalker struct {
	files  bool // collect the digests of files, too
	values []string
}

func (w *settingsWalker) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for n := range v.NumField() {
			w.walk(v.Field(n))
			if w.files && namesFile(v.Type().Field(n)) {
				w.values = append(w.values, fileDigest(v.Field(n).String()))
			}
		}
	case reflect.Slice:
		w.values = append(w.values, strconv.Itoa(v.Len()))
		for n := range v.Len() {
			w.walk(v.Index(n))
		}
	case reflect.Pointer:
		if v.IsNil() {
			w.values = append(w.values, "nil")
			return
		}
		w.values = append(w.values, "&")
		w.walk(v.Elem())
	case reflect.String: // fmt would redact a secret
		w.values = append(w.values, v.String())
	default:
		w.values = append(w.values, fmt.Sprint(v))
	}
}

// namesFile reports whether a field of settings has the name of a file.
func namesFile(f reflect.StructField) bool {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return f.Type.Kind() == reflect.String && strings.HasSuffix(name, "_file") && f.Tag.Get("live") != "true"
}

// fileDigest returns a digest of a file's contents, or "" without a name.
func fileDigest(name string) string {
	if name == "" {
		return ""
	}
	contents, _ := os.ReadFile(name)
	sum := sha256.Sum256(contents)
	return string(sum[:])
}
