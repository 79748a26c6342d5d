package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/oidc"
	"sallyport/internal/strict"
)

// ownDialect has the lists that have checks of their own for the notation of other tools, and those whose texts the gate only sends.
var ownDialect = []string{
	"paths", "hosts", "methods", "trusted_origins", "allow_origins", "domains", "login_domains", "client_jwk",
	"authorization_query_args_values", "redirect_uri", "claims_forbidden", "upstream_headers_claims", "downstream_headers_claims",
}

// checkTexts checks every list of texts in a struct of the configuration. It finds them by type, so that new settings are checked too.
func (r *Route) checkTexts(b *strict.Block, part any) {
	eachText("", reflect.ValueOf(part).Elem(), func(key, text string) {
		if check.KeyName(key) == "issuers_allowed" { // the only text with a meaning of its own in braces
			text = strings.Replace(text, oidc.TenantTemplate, "tenant", 1)
		}
		b.Checker().Value(key, text, r.Route.Literal, check.KeyName(key) == "acl.deny")
	})
}

// checkProcessTexts warns of texts of the process that look like patterns. It doesn't refuse them, because route.literal doesn't apply.
func checkProcessTexts(b *strict.Block, f *File) {
	eachText("", reflect.ValueOf(f).Elem(), func(key, text string) {
		if check.LooksLikePattern(text) {
			b.Warn(key, "%s is one value and compared literally: write several as a list; patterns aren't supported", b.Shown(key))
		}
	})
}

// eachText calls f with each text in the lists below a struct, except those with an enum or with checks of their own.
func eachText(prefix string, v reflect.Value, f func(key, text string)) {
	for _, field := range strict.ShapeOf(v.Type()).Fields {
		if field.Enum == nil && !slices.Contains(ownDialect, field.Name) && !isClaimPath(field) {
			eachTextOf(prefix+field.Name, v.FieldByIndex(field.Index), f)
		}
	}
}

// eachTextOf calls f with each text below a value.
func eachTextOf(key string, v reflect.Value, f func(key, text string)) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if _, ok := strict.Structure(v.Type()); ok {
		eachText(key+".", v, f)
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
