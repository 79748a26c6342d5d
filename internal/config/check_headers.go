package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/proxy"
)

// A sent is a header that a setting sends, to the upstream, the client or the authorization server.
type sent struct {
	b    *block
	key  string
	name string
}

func (s *sent) mark() mark { return s.b.find(s.key).mark }

var headerShape = shapeOf(reflect.TypeFor[proxy.HeaderSettings]())

// sent lists what the settings whose names begin with prefix send, in the order of the settings.
func (r *Route) sent(prefix string) (all []sent) {
	v := reflect.ValueOf(&r.OIDC.Headers).Elem()
	for i := range headerShape.fields {
		f := &headerShape.fields[i]
		if !strings.HasPrefix(f.name, prefix) || strings.HasSuffix(f.name, "_claims") {
			continue
		}
		switch names := v.FieldByIndex(f.index).Interface().(type) {
		case string:
			all = append(all, sent{r.block, f.name, names})
		case *string:
			if names != nil {
				all = append(all, sent{r.block, f.name, *names})
			}
		case []string:
			all = append(all, listed(r.block, f.name, names)...)
		case []proxy.HeaderMapping:
			all = append(all, mapped(r.block, f.name, names)...)
		}
	}
	return all
}

func listed(b *block, key string, names []string) (all []sent) {
	for n, name := range names {
		all = append(all, sent{b, fmt.Sprintf("%s[%d]", key, n), name})
	}
	return all
}

func mapped(b *block, key string, mappings []proxy.HeaderMapping) (all []sent) {
	for n, m := range mappings {
		all = append(all, sent{b, fmt.Sprintf("%s[%d].header", key, n), m.Header})
	}
	return all
}

// checkHeaders judges the names of headers towards the upstream and the client. No two settings may send one header: the
// last would win.
func (r *Route) checkHeaders() {
	b, h := r.block, &r.OIDC.Headers
	up, down := r.sent("upstream_"), r.sent("downstream_")
	checkSent(up, checkClaimHeader, checkUpstreamHeader)
	checkSent(down, checkResponseHeader, checkResponseToken)
	for _, s := range listed(b, "token_headers_replay", r.OIDC.Flow.Client.TokenHeadersReplay) {
		s.name = r.OIDC.Flow.TokenHeadersPrefix + s.name
		down = append(down, s)
	}
	checkSentOnce(up)
	checkSentOnce(down)
	if h.UpstreamRefreshTokenHeader != "" {
		b.warn("upstream_refresh_token_header", "whoever reads the upstream's requests can get tokens for as long as the refresh token lives")
	}
	b.aligned("upstream_headers_names", len(h.UpstreamHeadersNames), "upstream_headers_claims", len(h.UpstreamHeadersClaims))
	b.each("upstream_headers_claims", h.UpstreamHeadersClaims, notEmpty)
	b.aligned("downstream_headers_names", len(h.DownstreamHeadersNames), "downstream_headers_claims", len(h.DownstreamHeadersClaims))
	b.each("downstream_headers_claims", h.DownstreamHeadersClaims, notEmpty)
}

// checkSent judges each name by check, and those of the settings that take header:scheme by checkToken.
func checkSent(all []sent, check, checkToken func(string) error) {
	for _, s := range all {
		if strings.HasSuffix(s.key, "_access_token_header") {
			s.b.one(s.key, s.name, func(text string) error { return checkTokenHeader(text, checkToken) })
			continue
		}
		s.b.one(s.key, s.name, check)
	}
}

// checkSentOnce refuses a header that two of the settings send, also where it is spelled in two ways that upstreams read alike.
// The complaint is about the one that stands further down.
func checkSentOnce(all []sent) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, byPlace)
	first := map[string]*sent{}
	for i := range all {
		s := &all[i]
		name, _, _ := strings.Cut(s.name, ":")
		if name == "" || s.b.find(s.key).bad {
			continue
		}
		if before := first[proxy.Fold(name)]; before != nil {
			s.b.complain(s.key, "%s is sent by %s at %s already, as %s: choose another header, or take one of them out",
				quote(s.name), keyName(before.key), before.mark().from(s.mark()), quote(before.name))
			continue
		}
		first[proxy.Fold(name)] = s
	}
}

// byPlace orders settings as they are read: what a block inherits from another file comes before its own.
func byPlace(x, y sent) int {
	own := func(s sent) int {
		if s.mark().file == s.b.home.file {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(own(x), own(y)), cmp.Compare(x.mark().line, y.mark().line))
}

// checkRuleHeaders judges what each rule sends besides what the route does, or any of its issuers' entries.
func (r *Route) checkRuleHeaders() {
	var ofRoute []sent
	for _, part := range r.parts() {
		if r.HasOIDC {
			ofRoute = append(ofRoute, part.sent("upstream_")...)
		}
	}
	for i := range r.Rules {
		rule := &r.Rules[i]
		own := mapped(rule.block, "upstream_headers", rule.Headers.UpstreamHeaders)
		checkSent(own, checkClaimHeader, nil)
		checkSentOnce(own)
		for _, s := range own {
			checkNotSent(s, ofRoute)
		}
	}
}

// checkNotSent refuses a rule's header that the route sends, too: where the rule's claim is missing the upstream would get the
// route's, under the same name.
func checkNotSent(s sent, ofRoute []sent) {
	for _, other := range ofRoute {
		if name, _, _ := strings.Cut(other.name, ":"); name != "" && proxy.Fold(name) == proxy.Fold(s.name) {
			s.b.complain(s.key, "%s is sent by the route's %s at %s already, as %s: choose another header, or take one of them out",
				quote(s.name), keyName(other.key), other.mark().from(s.mark()), quote(other.name))
			return
		}
	}
}

// checkTokenHeader reads name or name:scheme.
func checkTokenHeader(text string, check func(string) error) error {
	name, scheme, found := strings.Cut(text, ":")
	if err := check(name); err != nil {
		return err
	}
	if found && !token.MatchString(scheme) {
		return errors.New("expected a header or header:scheme, such as authorization:bearer")
	}
	return nil
}

// checkClaimHeader is for headers towards the upstream that hold something else than the access token.
func checkClaimHeader(name string) error {
	if strings.EqualFold(name, "authorization") {
		return errors.New("Authorization carries the access token: see upstream_access_token_header, and choose another header")
	}
	return checkUpstreamHeader(name)
}

// checkUpstreamHeader is for headers towards the upstream, some of which the gate sets itself, after all others.
func checkUpstreamHeader(name string) error {
	if proxy.SetsItself(name) {
		return errors.New(own)
	}
	return checkHeader(name)
}

// checkResponseToken is for the access token towards the client, which may be told it as it would send it.
func checkResponseToken(name string) error {
	if strings.EqualFold(name, "authorization") {
		return nil
	}
	return checkResponseHeader(name)
}
