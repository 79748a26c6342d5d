package config

import (
	"reflect"
	"regexp"
	"sallyport/internal/strict"
	"slices"
	"testing"
)

// placeNames are the endings of settings that name a place in a request, and others of that kind.
var placeNames = regexp.MustCompile(`_(param_type|param_name|header_name|cookie_name|cookie|arg|body_limit)$`)

// notRead are settings of that kind about which a route's issuers need not agree.
var notRead = map[string]string{
	"authorization_cookie_name":      "the gate sets it, for the issuer of a login",
	"client_arg":                     "it chooses among the clients of the issuer that is known then",
	"introspection_token_param_name": "of a request to the issuer",
	"jwt_session_cookie":             "the issuer of the token is known then",
	"logout_post_arg":                "the session is known then",
	"logout_query_arg":               "the session is known then",
	"revocation_token_param_name":    "of a request to the issuer",
	"session_cookie_name":            "the gate sets it, and what it holds names the issuer",
}

// TestPlacesAreKnown: every setting that says where in a request something stands is one about which issuers must agree, or one that is
// known to be none.
func TestPlacesAreKnown(t *testing.T) {
	shape := strict.ShapeOf(reflect.TypeFor[OIDC]())
	for _, f := range shape.Fields {
		kind := placeNames.MatchString(f.Name) || slices.Contains(f.Enum, "header") && slices.Contains(f.Enum, "query")
		if _, known := notRead[f.Name]; kind && f.Place == known {
			t.Errorf("%s: expected place:\"true\", or an entry in notRead, and not both", f.Name)
		}
	}
	for name := range notRead {
		if shape.ByName[name] == nil {
			t.Errorf("%s is no setting", name)
		}
	}
}
