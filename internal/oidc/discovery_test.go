package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// odd lists values that the members of metadata can't have.
var odd = []any{"text", 5, true, []any{}, []any{5}, []any{map[string]any{}}, map[string]any{}, nil, "/relative",
	"javascript:alert(1)", "://", "https://"}

// TestEachMemberByItself sets one member of the metadata after another to a value that it can't have. No other member is affected.
func TestEachMemberByItself(t *testing.T) {
	whole := metadataOf(t, func(map[string]any) {})
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Metadata]()) {
		name := field.Tag.Get("json")
		if name == "" || name == "issuer" {
			continue
		}
		for _, v := range odd {
			got := metadataOf(t, func(m map[string]any) { m[name] = v })
			got.unusable, got.raw = whole.unusable, whole.raw
			want := *whole
			reflect.ValueOf(&want).Elem().FieldByIndex(field.Index).Set(reflect.ValueOf(got).Elem().FieldByIndex(field.Index))
			if !reflect.DeepEqual(*got, want) {
				t.Errorf("%s: %v: the metadata is\n%+v, expected\n%+v", name, v, got, &want)
			}
		}
	}
}

// metadataOf returns metadata that has all members, after a change of the document.
func metadataOf(t *testing.T, change func(map[string]any)) *Metadata {
	t.Helper()
	document := map[string]any{"issuer": "https://idp.example.com", "authorization_response_iss_parameter_supported": true}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Metadata]()) {
		if f.Type == reflect.TypeFor[[]string]() {
			document[f.Tag.Get("json")] = []any{"a", "b"}
		}
	}
	for _, e := range new(Metadata).endpoints() {
		announce(document, e.member, "https://idp.example.com/"+e.setting)
	}
	change(document)
	b, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	i := &Issuer{issuerConfig: issuerConfig{url: "https://idp.example.com", documentURL: "https://idp.example.com/x"}}
	m := &Metadata{}
	skipped, err := readMembers(b, m)
	if err != nil {
		t.Fatal(err)
	}
	m.applySettings(&EndpointSettings{}, skipped, i.checkEndpoint)
	return m
}

// announce sets an endpoint in a metadata document, also within mtls_endpoint_aliases.
func announce(document map[string]any, member string, v any) {
	if alias, found := strings.CutPrefix(member, "mtls_endpoint_aliases."); found {
		aliases, _ := document["mtls_endpoint_aliases"].(map[string]any)
		if aliases == nil {
			aliases = map[string]any{}
			document["mtls_endpoint_aliases"] = aliases
		}
		aliases[alias] = v
		return
	}
	document[member] = v
}

// TestBadEndpoints checks that an announced endpoint which can't be used is a clear error when it is needed, and none if a setting
// replaces it.
func TestBadEndpoints(t *testing.T) {
	p, _, now := begin(t, nil)
	for _, e := range new(Metadata).endpoints() {
		for _, v := range []any{"/relative", "ftp://idp/x", 5, []any{}, "https://", " https://idp/x"} {
			for _, configured := range []bool{false, true} {
				c := clientOf(t, p, now, func(s *Settings) {
					if configured {
						configure(&s.EndpointSettings, e.setting, "http://127.0.0.1:1/configured")
					}
				})
				var log bytes.Buffer
				c.issuer.log = slog.New(slog.NewTextHandler(&log, nil))
				p.AdjustAnswer(provider.Discovery, func(m map[string]any) { announce(m, e.member, v) })
				m, err := c.issuer.Metadata(t.Context())
				if err != nil {
					t.Fatalf("%s: %v: %v", e.member, v, err)
				}
				address, err := m.require(e.setting)
				if configured {
					if err != nil || address != "http://127.0.0.1:1/configured" || log.Len() > 0 {
						t.Errorf("%s: %v: the configured one is %s, %v; the log: %s", e.member, v, address, err, log.String())
					}
					continue
				}
				if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), e.member+": expected") ||
					!strings.HasSuffix(err.Error(), ": write "+e.setting) {
					t.Errorf("%s: %v: %q, %v", e.member, v, address, err)
				}
				if strings.Count(log.String(), "member="+e.member) != 1 {
					t.Errorf("%s: %v: the log: %s", e.member, v, log.String())
				}
			}
		}
	}
}

func configure(s *EndpointSettings, setting, value string) {
	v := reflect.ValueOf(s).Elem()
	for n := range v.NumField() {
		if name, _, _ := strings.Cut(v.Type().Field(n).Tag.Get("yaml"), ","); name == setting {
			v.Field(n).SetString(value)
		}
	}
}

// TestUsesOfBadEndpoints checks the error of each use of an announced endpoint that can't be used.
func TestUsesOfBadEndpoints(t *testing.T) {
	uses := map[string]func(*testing.T, *Client) error{
		"jwks_endpoint": func(t *testing.T, c *Client) error { _, err := c.issuer.keys.get(t.Context()); return err },
		"authorization_endpoint": func(t *testing.T, c *Client) error {
			_, err := c.AuthorizationURL(t.Context(), AuthorizationRequest{}, Caller{})
			return err
		},
		"token_endpoint": func(t *testing.T, c *Client) error {
			_, err := c.Refresh(t.Context(), auth.Tokens{RefreshToken: "x"})
			return err
		},
		"userinfo_endpoint": func(t *testing.T, c *Client) error {
			_, err := c.Userinfo(t.Context(), auth.Tokens{AccessToken: "x"}, Caller{})
			return err
		},
		"introspection_endpoint": func(t *testing.T, c *Client) error { _, err := c.Introspect(t.Context(), "x", Caller{}); return err },
		"revocation_endpoint":    func(t *testing.T, c *Client) error { return c.Revoke(t.Context(), "x", "access_token", "token") },
		"pushed_authorization_request_endpoint": func(t *testing.T, c *Client) error {
			_, err := c.push(t.Context(), &Metadata{}, url.Values{}, Caller{})
			return err
		},
		"end_session_endpoint": func(t *testing.T, c *Client) error {
			_, _, err := c.EndSession(t.Context(), LogoutRequest{})
			return err
		},
	}
	p, c, _ := begin(t, asJSON)
	cert, key := provider.CertificatePEM(provider.SelfSignedCert("app"))
	if err := c.useCertificate(Settings{IssuerSettings: c.settings.IssuerSettings, ClientSettings: ClientSettings{
		TLSClientAuthCertFile: write(t, filepath.Join(t.TempDir(), "c.pem"), cert),
		TLSClientAuthKeyFile:  write(t, filepath.Join(t.TempDir(), "c.key"), key),
	}}); err != nil {
		t.Fatal(err)
	}
	pool := c.pool
	for _, e := range new(Metadata).endpoints() {
		use := uses[strings.TrimPrefix(e.setting, "mtls_")]
		c.issuer.Forget()
		if c.pool = nil; strings.HasPrefix(e.setting, "mtls_") {
			c.pool = pool
		}
		p.AdjustAnswer(provider.Discovery, func(m map[string]any) { announce(m, e.member, "/x") })
		if err := use(t, c); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), e.member) ||
			!strings.Contains(err.Error(), "write "+e.setting) {
			t.Errorf("%s: %v", e.setting, err)
		}
	}
}

// TestMetadataMustBeTheIssuers (OIDC Discovery §4.3).
func TestMetadataMustBeTheIssuers(t *testing.T) {
	p, c, _ := begin(t, nil)
	for _, v := range []any{"https://evil.example.com", "", nil, 5, []any{}} {
		c.issuer.Forget()
		p.AdjustAnswer(provider.Discovery, func(m map[string]any) { m["issuer"] = v })
		if _, err := c.issuer.Metadata(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "issuer") {
			t.Errorf("%v: %v", v, err)
		}
	}
}

// TestMetadataTwice checks that a repeated member of metadata counts as absent. A repeated issuer is an error.
func TestMetadataTwice(t *testing.T) {
	for member, want := range map[string]string{
		"token_endpoint": "token_endpoint: the member is repeated: write token_endpoint", "issuer": "issuer: the member is repeated",
	} {
		p, c, _ := begin(t, nil)
		p.Break(provider.Discovery, func(w http.ResponseWriter, _ *http.Request) {
			b, _ := json.Marshal(map[string]any{"issuer": p.Issuer(), "jwks_uri": p.URL + "/jwks", "token_endpoint": p.URL + "/token"})
			b = append(b[:len(b)-1], `,"`+member+`":"`+p.Issuer()+`"}`...)
			w.Write(b)
		})
		_, err := c.Refresh(t.Context(), auth.Tokens{RefreshToken: "x"})
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", member, err)
		}
	}
}

// TestNoKeysNeeded checks that an issuer without keys serves introspection.
func TestNoKeysNeeded(t *testing.T) {
	p, c, now := begin(t, asJSON)
	token := p.AccessToken("john", "app", nil)
	p.AdjustAnswer(provider.Discovery, func(m map[string]any) { delete(m, "jwks_uri") })
	if _, err := c.Introspect(t.Context(), token, Caller{}); err != nil {
		t.Errorf("introspection: %v", err)
	}
	if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()))); !errors.Is(err, ErrUnavailable) ||
		!strings.Contains(err.Error(), "has no jwks_uri: write jwks_endpoint") {
		t.Errorf("a JWT: %v", err)
	}
}

// TestByteOrderMark checks that JSON may begin with a byte order mark (RFC 8259 §8.1).
func TestByteOrderMark(t *testing.T) {
	p, c, now := begin(t, asJSON)
	for _, e := range []provider.Endpoint{provider.Discovery, provider.JWKS, provider.Token, provider.Introspection, provider.Userinfo} {
		p.AddByteOrderMark(e)
	}
	answer, err := c.Password(t.Context(), "john", "doe", Caller{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()))); err != nil {
		t.Error(err)
	}
	if _, err := c.Introspect(t.Context(), answer.Tokens.AccessToken, Caller{}); err != nil {
		t.Error(err)
	}
	if _, err := c.Userinfo(t.Context(), auth.Tokens{AccessToken: p.AccessToken("john", "app", nil)}, Caller{}); err != nil {
		t.Error(err)
	}
	if document, _ := c.issuer.Document(); !json.Valid(document) {
		t.Errorf("the kept document is %s", document)
	}
}

// TestOddClaims checks that optional claims of an unexpected type don't refuse a token.
func TestOddClaims(t *testing.T) {
	p, c, now := begin(t, nil)
	for name, v := range map[string]any{"_claim_names": []any{}, "_claim_sources": []any{}, "address": []any{}, "roles": "x"} {
		claims := good(p, now.Now())
		claims[name] = v
		if _, err := c.issuer.AccessToken(t.Context(), p.SignJWT(claims)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := c.IDToken(t.Context(), p.SignJWT(claims), IDTokenWant{}); err != nil {
			t.Errorf("%s in an ID token: %v", name, err)
		}
		if _, err := c.ResolveClaims(t.Context(), auth.Claims(claims), "", Caller{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestToldOnce checks that each ignored member of responses is logged once.
func TestToldOnce(t *testing.T) {
	p, c, _ := begin(t, nil)
	var log bytes.Buffer
	c.issuer.log = slog.New(slog.NewTextHandler(&log, nil))
	p.AdjustAnswer(provider.Discovery, func(m map[string]any) { m["scopes_supported"] = "openid" })
	p.AdjustAnswer(provider.Token, func(m map[string]any) { m["scope"], m["expires_in"] = []any{"openid"}, "soon" })
	for range 3 {
		if _, err := c.Password(t.Context(), "john", "doe", Caller{}); err != nil {
			t.Fatal(err)
		}
		c.issuer.discover(t.Context())
	}
	for _, want := range []string{
		`answer=metadata member=scopes_supported error="expected a list of strings, got \"openid\""`,
		`answer="token response" member=scope error="expected a string"`,
		`answer="token response" member=expires_in error="expected a number of seconds"`,
	} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("expected %s once:\n%s", want, log.String())
		}
	}
}

// TestSignedAnswersAfterARotation checks that responses signed with a new key are verified, also if forged tokens have caused a fetch of
// keys before.
func TestSignedAnswersAfterARotation(t *testing.T) {
	for name, ask := range map[string]func(*provider.Provider, *Client) error{
		"introspection": func(p *provider.Provider, c *Client) error {
			_, err := c.Introspect(t.Context(), p.AccessToken("john", "app", nil), Caller{})
			return err
		},
		"userinfo": func(p *provider.Provider, c *Client) error {
			_, err := c.Userinfo(t.Context(), auth.Tokens{AccessToken: p.AccessToken("john", "app", nil)}, Caller{})
			return err
		},
	} {
		p, c, now := begin(t, func(s *Settings) {
			asJSON(s)
			s.IntrospectionAccept, s.UserinfoAccept = "application/token-introspection+jwt", "application/jwt"
		})
		c.issuer.Warm(t.Context())
		c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()), provider.WithHeader("kid", "forged")))
		p.ReplaceKeys()
		if err := ask(p, c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := p.Requests(provider.JWKS); got != 3 {
			t.Errorf("%s: the keys were fetched %d times, expected 3", name, got)
		}
	}
}
