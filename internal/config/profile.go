package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/fapi"
	"sallyport/internal/oidc"
	"sallyport/internal/strict"
)

// applyProfile gives the settings that aren't written the values that the profile of an oidc block requires.
func applyProfile(b *strict.Block, o *OIDC) {
	if o.Profile.Profile == "" {
		return
	}
	set := func(key, value string) {
		if f := oidcShape.ByName[key]; !b.IsSet(key) {
			f.Set(reflect.ValueOf(o).Elem().FieldByIndex(f.Index), value)
		}
	}
	needs := o.Flow.Examination("", "")
	for _, r := range o.Profile.Requirements() {
		if r.Default != "" && !(r.Key == "client_alg" && b.IsSet("client_jwk")) && concerns(&r, needs) {
			set(r.Key, r.Default)
		}
	}
	hasCertificate, hasKey := b.IsSet("tls_client_auth_cert_file"), b.IsSet("client_jwk") || b.IsSet("client_assertion_file")
	if hasCertificate && !hasKey {
		set("client_auth", "[tls_client_auth]")
	}
	if o.Profile.Profile == fapi.Advanced1 {
		setAdvanced1(o, set)
		return
	}
	if !hasCertificate && o.Flow.LogsIn() {
		set("client_dpop", "true")
		if o.Headers.UpstreamAccessTokenHeader != nil {
			set("upstream_dpop", "true")
		}
	}
}

// concerns reports whether a requirement has a meaning for flows that need this of the authorization server.
func concerns(q *fapi.Requirement, needs oidc.Examination) bool {
	return (!q.Logins || needs.Login) && (!q.Client || needs.Login || needs.Token || needs.Introspect)
}

// setAdvanced1 sets how FAPI 1.0 Advanced protects the authorization response: by an ID token, or by JARM.
func setAdvanced1(o *OIDC, set func(key, value string)) {
	if !o.Flow.LogsIn() {
		return
	}
	if slices.Contains(o.Flow.ResponseType, "code id_token") {
		set("response_mode", "form_post")
	} else {
		set("response_mode", "jwt")
	}
}

// checkProfile refuses what the profile of the oidc block doesn't allow.
func (r *Route) checkProfile(listen []Listen, trusted []Prefix) {
	o, c := &r.OIDC, r.block.Checker()
	profile := o.Profile.Profile
	if profile == "" {
		return
	}
	needs := o.Flow.Examination("", "")
	for _, q := range o.Profile.Requirements() {
		if !concerns(&q, needs) {
			continue
		}
		for _, value := range settingTexts(valueIn(o, oidcShape.ByName[q.Key])) {
			c.Must(q.Key, q.Allows(value), "%s", refusedBy(profile, &q, value))
		}
	}
	r.checkBound(c, profile)
	r.checkProfileKeys(c, profile)
	c.Must("issuer", strings.HasPrefix(o.Flow.Client.Issuer, "https://") || auth.Loopback(o.Flow.Client.Issuer),
		"profile: %s requires TLS to the issuer: write its https address", profile)
	r.checkProfileTLS(c, profile, listen, trusted)
}

// refusedBy returns the message about a value that a profile doesn't allow.
func refusedBy(profile string, q *fapi.Requirement, value string) string {
	what := check.Quote(value) + " isn't allowed"
	if value == "" {
		what = "it is required"
	}
	remedy := "take it out"
	if allowed := slices.DeleteFunc(slices.Clone(q.Allowed), func(v string) bool { return v == "" }); len(allowed) > 0 {
		remedy = "write " + strings.Join(allowed, " or ")
	}
	return fmt.Sprintf("%s by profile: %s (%s): %s", what, profile, q.Clause, remedy)
}

// settingTexts returns the value of a setting, or the elements of a list, as texts; "" for an empty value.
func settingTexts(v any) (all []string) {
	value := reflect.ValueOf(v)
	switch {
	case value.Kind() == reflect.Pointer && value.IsNil():
		return []string{""}
	case value.Kind() == reflect.Pointer:
		return settingTexts(value.Elem().Interface())
	case value.Kind() != reflect.Slice:
		return []string{fmt.Sprint(v)}
	case value.Len() == 0:
		return []string{""}
	}
	for n := range value.Len() {
		all = append(all, fmt.Sprint(value.Index(n).Interface()))
	}
	return all
}

// checkBound requires that the tokens of logins are bound to the gate's key or certificate.
func (r *Route) checkBound(c check.Checker, profile string) {
	f := &r.OIDC.Flow
	if !f.LogsIn() || f.Client.TLSClientAuthCertFile != "" {
		return
	}
	if profile == fapi.Advanced1 {
		c.Missing("tls_client_auth_cert_file",
			"the client's certificate, and tls_client_auth_key_file: the tokens of logins are bound to it (FAPI 1.0 Part 2 §5.2.3-1)")
		return
	}
	c.Must("client_dpop", f.Client.ClientDPoP, "profile: %s requires tokens that are bound to the gate's key or certificate: "+
		"write true, or tls_client_auth_cert_file (FAPI 2.0 Security Profile §5.3.3.1-1)", profile)
}

// checkProfileKeys checks the algorithms of the client's keys.
func (r *Route) checkProfileKeys(c check.Checker, profile string) {
	client, allowed := &r.OIDC.Flow.Client, fapi.Algorithms(profile)
	if len(client.ClientAlg) > 0 {
		return
	}
	for n, jwk := range client.ClientJWK {
		c.Must(fmt.Sprintf("client_jwk[%d]", n), slices.Contains(allowed, jwk.Alg),
			"its alg is %s, and profile: %s allows only %s: write one of them as alg",
			check.Quote(jwk.Alg), profile, strings.Join(allowed, ", "))
	}
}

// checkProfileTLS checks the listeners, each of which serves the route. One without TLS must be behind a trusted proxy, which then has the
// duty.
func (r *Route) checkProfileTLS(c check.Checker, profile string, listen []Listen, trusted []Prefix) {
	suites := "TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM"
	for _, l := range listen {
		host := "http://" + l.Address
		switch {
		case l.TLS == nil && len(trusted) == 0 && !auth.Loopback(host):
			c.Complain("profile", "%s requires TLS, and the listener %s has none: add tls: to it, or the proxy with TLS to trusted_proxies",
				profile, l.Address)
		case l.TLS != nil && !l.TLS.onlyAESGCM(profile == fapi.Advanced1):
			c.Complain("profile", "%s requires %s, and the listener %s allows more: write min_version: \"1.3\" or cipher_suites: there",
				profile, suites, l.Address)
		}
	}
}
