package config

import (
	"regexp"
	"slices"
	"testing"
)

// placeNames matches settings that name a place in requests, and others with such names.
var placeNames = regexp.MustCompile(`_(param_type|param_name|header_name|cookie_name|cookie|arg|body_limit)$`)

// perIssuerNames has the settings with such names in which the issuers of a route can differ, and why.
var perIssuerNames = map[string]string{
	"authorization_cookie_name":       "the gate sets it, for the issuer of a login",
	"client_arg":                      "it chooses a client of a known issuer",
	"end_session_redirect_param_name": "of a request to the issuer",
	"introspection_token_param_name":  "of a request to the issuer",
	"jwt_session_cookie":              "the issuer of the token is known",
	"logout_post_arg":                 "the session is known",
	"logout_query_arg":                "the session is known",
	"revocation_token_param_name":     "of a request to the issuer",
	"session_cookie_name":             "the gate sets it, and the session has the issuer",
	"session_remember_cookie_name":    "likewise",
}

// TestPlacesAreKnown checks that each setting that names a place in requests has the tag place, or is in perIssuerNames.
func TestPlacesAreKnown(t *testing.T) {
	for _, f := range oidcShape.Fields {
		kind := placeNames.MatchString(f.Name) || slices.Contains(f.Enum, "header") && slices.Contains(f.Enum, "query")
		if _, known := perIssuerNames[f.Name]; kind && f.Place == known {
			t.Errorf("%s: expected place:\"true\", or an entry in perIssuerNames, and not both", f.Name)
		}
	}
	for name := range perIssuerNames {
		if oidcShape.ByName[name] == nil {
			t.Errorf("%s is no setting", name)
		}
	}
}
