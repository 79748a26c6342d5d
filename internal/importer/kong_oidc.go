package importer

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/strict"
)

// differentDefaults are the parameters with another default than Kong's. A file that doesn't have them gets the gate's.
var differentDefaults = []struct {
	name string
	flow string // it concerns only plugins with this flow
	text string
}{
	{"auth_methods", "", "authorization_code, session and bearer, where Kong accepts all credentials"},
	{"audience_required", "bearer", "a token that a client sends must name client_id in aud; any is no check"},
	{"bearer_token_param_type", "bearer", "header, where Kong reads query and body as well"},
	{"session_storage", "authorization_code", "memory, where Kong has sessions in cookies"},
	{"login_action", "authorization_code", "redirect to the page that the user asked for"},
}

// harmless are the refused parameters that a request can't pass without.
var harmless = []string{"introspection_check_active", "token_cache_key_include_scope", "session_memcached_", "unauthorized_destroy_session",
	"forbidden_destroy_session", "http_version", "tls_client_auth_cert_id", "keepalive_backlog", "cloud_authentication", "session_cookie_",
	"session_redis_", "session_strategy", "session_compressor", "authorization_cookie_", "secure_source", "ca_certificates", "cert_cache_ttl",
	"http_timeout", "http_proxy_", "https_proxy_", "ssl_verify", "oth", "r", "t", "k"}

// shareOIDC writes the oidc block into the process file if all routes that have one have the same.
func (k *kong) shareOIDC(groups []*group) {
	var shared *policy
	users := 0
	for _, g := range groups {
		p := g.main().policy
		served, excluded := g.claims, ""
		switch {
		case p.open() && p.condition == "" && len(served) == 1 && served[0].always():
			continue
		case p.oidc == nil, excluded != "", shared != nil && (p.oidc != shared.oidc || p.required != shared.required):
			return
		}
		shared = p
		users++
	}
	if users > 1 {
		k.Process.SetAt(shared.oidc.Mark, "oidc", k.oidcOf(shared))
	}
}

// writeOIDC writes the oidc block of a route, unless the process file has it.
func (k *kong) writeOIDC(document *Mapping, p *policy) {
	if !k.Process.Has("oidc") {
		document.SetAt(p.oidc.Mark, "oidc", k.oidcOf(p))
	}
}

// oidcOf returns the oidc block of an openid-connect plugin.
func (k *kong) oidcOf(p *policy) *Mapping {
	made := k.oidcs[p.oidc]
	if made == nil {
		made = NewMapping()
		k.parameters(made, p.oidc.config().Value, config.OIDCShape(), "oidc", "")
		k.adapt(made, p.oidc)
		k.oidcs[p.oidc] = made
	}
	if p.required && made.Has("anonymous") {
		made = &Mapping{pairs: slices.Clone(made.pairs)}
		made.Delete("anonymous")
		k.Notef(p.oidc.at("config"), "anonymous: request-termination refuses this consumer, so a credential is required instead")
	}
	return made
}

// adapt changes what can't be as it is in Kong, and notes it.
func (k *kong) adapt(oidc *Mapping, plugin *entity) {
	c := plugin.config()
	if len(k.all["oauth2_credentials"]) == 0 {
		k.withoutMethod(oidc, c, "kong_oauth2", "the files have no oauth2_credentials")
	}
	if c.text("refresh_token_param_name") == "" {
		k.withoutMethod(oidc, c, "refresh_token", "without refresh_token_param_name it reads nothing")
	}
	if v := c.get("anonymous"); v != nil {
		oidc.SetAt(v.Mark, "anonymous", k.consumerName(v))
	}
	k.adaptUserinfo(oidc, c)
	if action := c.text("login_action"); action == "" || action == "upstream" {
		oidc.Delete("login_tokens")
		oidc.Delete("login_redirect_mode")
	}
	if c.text("session_storage") != "redis" {
		oidc.Delete("redis")
	}
	if strategy := c.text("cluster_cache_strategy"); strategy == "" || strategy == "off" {
		oidc.Delete("cluster_cache_redis")
	}
	k.noteDefaults(plugin, c)
}

// methodsIn returns auth_methods of an oidc block.
func methodsIn(oidc *Mapping) []string {
	var all []string
	switch v := oidc.Value("auth_methods").(type) {
	case []string:
		return v
	case []any:
		for _, m := range v {
			if text, isText := m.(string); isText {
				all = append(all, text)
			}
		}
	}
	return all
}

// withoutMethod takes a flow out of auth_methods.
func (k *kong) withoutMethod(oidc *Mapping, c *entity, method, why string) {
	if methods := methodsIn(oidc); slices.Contains(methods, method) {
		oidc.SetAt(c.at("auth_methods"), "auth_methods", slices.DeleteFunc(methods, func(m string) bool { return m == method }))
		k.Notef(c.at("auth_methods"), "%s is taken out of auth_methods: %s", method, why)
	}
}

// adaptUserinfo takes the flow userinfo out: a token that the userinfo endpoint accepts may be for any client.
func (k *kong) adaptUserinfo(oidc *Mapping, c *entity) {
	methods := methodsIn(oidc)
	if !slices.Contains(methods, "userinfo") || len(c.list("audience_required")) > 0 || c.text("userinfo_accept") == "application/jwt" {
		return
	}
	if slices.Contains(methods, "bearer") || slices.Contains(methods, "introspection") {
		k.withoutMethod(oidc, c, "userinfo", "it can't say for which client a token is; to have it, write audience_required: any")
		return
	}
	oidc.SetAt(c.at("auth_methods"), "audience_required", []string{"any"})
	k.Notef(c.at("auth_methods"), "audience_required: any is added, because userinfo can't say for which client a token is")
}

// noteDefaults notes what is different because a parameter isn't in the file.
func (k *kong) noteDefaults(plugin, c *entity) {
	methods := texts(c.get("auth_methods"))
	has := func(flow string) bool { return len(methods) == 0 || flow == "" || slices.Contains(methods, flow) }
	var missing []string
	for _, d := range differentDefaults {
		if c.get(d.name) == nil && has(d.flow) {
			missing = append(missing, d.name+" ("+d.text+")")
		}
	}
	if len(missing) > 0 {
		k.Notef(plugin.Mark, "these parameters aren't in the file, and their defaults aren't Kong's: %s", strings.Join(missing, "; "))
	}
	if has("authorization_code") && c.get("redirect_uri") == nil {
		k.Notef(plugin.Mark, "the redirect URI isn't the URL of the request: register https://HOST/oauth2/callback at the issuer, "+
			"behind the first path of each route")
	}
}

// parameters sets the parameters of a mapping. The prefix is the name of the parameter that has the mapping, for variables.
func (k *kong) parameters(to *Mapping, from *strict.Value, shape *strict.Shape, scope, prefix string) {
	for _, p := range from.Pairs {
		if p.Value.Null || p.Value.Kind == strict.List && len(p.Value.Items) == 0 || p.Value.Kind == strict.Mapping && len(p.Value.Pairs) == 0 {
			continue
		}
		if scope == "oidc" {
			if name := config.Renamed(p.Key); name != "" && from.Get(name) == nil {
				k.Notef(p.Mark, "%s is written by its present name %s", p.Key, name)
				p.Key = name
			}
		}
		f := shape.ByName[p.Key]
		if f == nil {
			k.unknownParameter(to, p, scope)
			continue
		}
		if text := config.UnsupportedValue(p.Key, p.Value); text != "" && p.Key == "session_storage" {
			k.Notef(p.Mark, "session_storage: %s: left out", text)
			continue
		}
		if p.Key != "host" && isDefault(p.Value, f) {
			continue
		}
		to.SetAt(p.Mark, p.Key, k.parameter(p, f, scope, prefix))
	}
}

// isDefault reports whether a value is the gate's default.
func isDefault(v *strict.Value, f *strict.Field) bool {
	if config.ObjectShape(f) != nil || f.Type.Kind() == reflect.Pointer && f.Default == nil {
		return false
	}
	if f.Default == nil {
		return v.Kind == strict.Scalar && slices.Contains([]string{"", "false", "0"}, v.Text)
	}
	have, want := texts(v), texts(f.Default)
	if len(have) != len(want) {
		return false
	}
	slices.Sort(have)
	slices.Sort(want)
	for i := range have {
		if d, err := time.ParseDuration(want[i]); have[i] != want[i] && (err != nil || have[i] != fmt.Sprint(d.Seconds()) || d < time.Minute) {
			return false
		}
	}
	return true
}

// unknownParameter handles a parameter that the gate doesn't have. It stays in the configuration, so that check refuses it, unless a
// request
// can pass without it, or it says what the gate does anyway.
func (k *kong) unknownParameter(to *Mapping, p strict.Pair, scope string) {
	text, known := config.Refuses(scope, p)
	isHarmless := slices.ContainsFunc(harmless, func(name string) bool {
		return p.Key == name || strings.HasSuffix(name, "_") && strings.HasPrefix(p.Key, name)
	})
	switch {
	case known && text == "":
	case known && isHarmless:
		k.Notef(p.Mark, "%s; it is left out", text)
	default:
		to.SetAt(p.Mark, p.Key, "...") // not the value, which may be a secret
	}
}

// value returns a value as it is, with references of the gate.
func (k *kong) value(v *strict.Value) any {
	switch v.Kind {
	case strict.Mapping:
		m := NewMapping()
		for _, p := range v.Pairs {
			m.SetAt(p.Mark, p.Key, k.value(p.Value))
		}
		return m
	case strict.List:
		return k.list(v, func(item *strict.Value) any { return k.value(item) })
	}
	return k.scalar(v, "sample")
}

// list returns a list of scalars or mappings for Set.
func (k *kong) list(v *strict.Value, element func(*strict.Value) any) any {
	var scalars []any
	var mappings []*Mapping
	for _, item := range elements(v) {
		switch made := element(item).(type) {
		case *Mapping:
			mappings = append(mappings, made)
		default:
			scalars = append(scalars, made)
		}
	}
	if len(mappings) > 0 && len(scalars) == 0 {
		return mappings
	}
	return scalars
}

// parameter returns the value of a parameter.
func (k *kong) parameter(p strict.Pair, f *strict.Field, scope, prefix string) any {
	element := func(v *strict.Value) any { return k.parameterScalar(v, p.Key, prefix, f) }
	if shape := config.ObjectShape(f); shape != nil {
		element = func(v *strict.Value) any {
			if v.Kind != strict.Mapping {
				return k.value(v)
			}
			m := NewMapping()
			k.parameters(m, v, shape, scope+"."+p.Key, prefix+p.Key+"_")
			return m
		}
	}
	if p.Value.Kind == strict.List {
		return k.list(p.Value, element)
	}
	return element(p.Value)
}

// parameterScalar returns a scalar, and a reference in place of a secret.
func (k *kong) parameterScalar(v *strict.Value, key, prefix string, f *strict.Field) any {
	switch {
	case v.Kind != strict.Scalar:
		return k.value(v)
	case !strict.IsSecret(f.Type):
		return k.scalar(v, sampleOf(key, f))
	case key == "session_secret" && !isReference(v.Text):
		k.Notef(v.Mark, "session_secret: Kong's sessions can't be opened here, so set OIDC_SESSION_SECRET to a new one: openssl rand -base64 32")
		return k.AddVariable(Variable{Name: "OIDC_SESSION_SECRET", Sample: sampleSecret})
	}
	return k.secret(v, variableName("oidc_"+prefix+key))
}

// sampleOf returns a value of the form that a parameter has, for a check while a variable isn't set.
func sampleOf(key string, f *strict.Field) string {
	switch t := strict.Element(f.Type); {
	case len(f.Enum) > 0:
		return f.Enum[0]
	case t == strict.DurationType, t.Kind() == reflect.Int:
		return fmt.Sprint(int(time.Minute / time.Second))
	case t.Kind() == reflect.Bool:
		return "true"
	case key == "issuer" || strings.Contains(key, "endpoint") || strings.Contains(key, "_uri") || strings.HasSuffix(key, "_proxy"):
		return "https://issuer.example.com"
	case key == "host" || strings.Contains(key, "server_name"):
		return "host.example.com"
	}
	return "sample"
}
