package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/strict"
)

// ownDialect are the lists that have checks of their own for texts of other tools, and those whose elements are nothing but
// text for somebody else.
var ownDialect = []string{
	"paths", "hosts", "methods", "trusted_origins", "allow_origins", "domains", "login_domains", "client_jwk",
	"authorization_query_args_values", "redirect_uri", "claims_forbidden", "upstream_headers_claims", "downstream_headers_claims",
}

// checkTexts judges every list of texts in a part of the configuration, found by its type, so that a new setting is judged
// as well.
func (r *Route) checkTexts(b *strict.Block, part reflect.Value) {
	eachText(strict.ShapeOf(part.Type()), "", part, func(key, text string) {
		b.Checker().Value(key, text, r.Route.Literal, check.KeyName(key) == "acl.deny")
	})
}

// checkProcessTexts warns of those of the process, where no route can say that one is meant as it stands.
func checkProcessTexts(b *strict.Block, f *File) {
	eachText(strict.ShapeOf(reflect.TypeFor[File]()), "", reflect.ValueOf(f).Elem(), func(key, text string) {
		if check.LooksLikePattern(text) {
			b.Warn(key, "%s is one value and compared as it stands: several are a list, and there are no patterns", b.Shown(key))
		}
	})
}

// eachText calls f with the elements of all lists of texts below a struct that have neither a set of values nor a check of
// their own.
func eachText(s *strict.Shape, prefix string, v reflect.Value, f func(key, text string)) {
	for i := range s.Fields {
		field := &s.Fields[i]
		if field.Enum == nil && !slices.Contains(ownDialect, field.Name) && !isClaimPath(field) {
			eachTextOf(prefix+field.Name, v.FieldByIndex(field.Index), f)
		}
	}
}

func eachTextOf(key string, v reflect.Value, f func(key, text string)) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if t, ok := strict.Structure(v.Type()); ok {
		eachText(strict.ShapeOf(t), key+".", v, f)
		return
	}
	if v.Kind() != reflect.Slice {
		return
	}
	for i := range v.Len() {
		at, element := fmt.Sprintf("%s[%d]", key, i), v.Index(i)
		if element.Type() == reflect.TypeFor[string]() {
			f(at, element.String())
		} else if _, ok := strict.Structure(element.Type()); ok {
			eachTextOf(at, element, f)
		}
	}
}

// isClaimPath reports whether the field is a path to a claim: the names from the outermost claim inwards.
func isClaimPath(f *strict.Field) bool {
	return strings.HasSuffix(f.Name, "_claim") || f.Name == "consumer_claims" || f.Name == "path"
}
