package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A clientAuth adds client authentication (OIDC Core §9, RFC 8705 §2) to a form that is posted to an authorization server.
type clientAuth func(t *testing.T, form url.Values, header http.Header)

// clientNone adds only the client_id, for a public client or one that authenticates by its certificate.
func clientNone(id string) clientAuth {
	return func(_ *testing.T, form url.Values, _ http.Header) { form.Set("client_id", id) }
}

func clientSecretBasic(id, secret string) clientAuth {
	return func(_ *testing.T, _ url.Values, header http.Header) {
		pair := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
}

func clientSecretPost(id, secret string) clientAuth {
	return func(_ *testing.T, form url.Values, _ http.Header) {
		form.Set("client_id", id)
		form.Set("client_secret", secret)
	}
}

// clientSecretJWT adds an assertion that is signed with HS256. audience is the issuer.
func clientSecretJWT(id, secret, audience string) clientAuth {
	return func(t *testing.T, form url.Values, _ http.Header) {
		t.Helper()
		assert(form, mustSign(t, jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, "JWT", assertion(id, audience)))
	}
}

func privateKeyJWT(id string, key *signer, audience string) clientAuth {
	return func(t *testing.T, form url.Values, _ http.Header) {
		t.Helper()
		assert(form, key.mustSign(t, "JWT", assertion(id, audience)))
	}
}

// assertion returns the claims of a client assertion (RFC 7523 §3).
func assertion(id, audience string) object {
	now := time.Now()
	return object{"iss": id, "sub": id, "aud": audience, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
}

func assert(form url.Values, jwt string) {
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", jwt)
}

// ask posts a form with client authentication. header holds names and values of header fields, in turn.
func (v *visitor) ask(endpoint string, as clientAuth, form url.Values, header ...string) answer {
	v.t.Helper()
	fields, authentication := url.Values{}, http.Header{}
	maps.Copy(fields, form)
	as(v.t, fields, authentication)
	r := v.request(http.MethodPost, endpoint, fields.Encode(), header...)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	maps.Copy(r.Header, authentication)
	return v.must(r)
}

// accessToken sends a token request and returns the access token.
func (v *visitor) accessToken(m metadata, as clientAuth, form url.Values) string {
	v.t.Helper()
	return v.ask(m.endpoint("token"), as, form).mustMember(v.t, "access_token")
}

// grant returns the form of a token request: grant_type, scope, and more names and values.
func grant(kind, scope string, more ...string) url.Values {
	form := url.Values{"grant_type": {kind}}
	if scope != "" {
		form.Set("scope", scope)
	}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

func passwordGrant(user string) url.Values {
	return grant("password", "openid profile email", "username", user, "password", "doe")
}

const tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

// exchange returns the form that exchanges an access token for one with an audience (RFC 8693 §2.1).
func exchange(token, audience, scope string) url.Values {
	return grant(tokenExchange, scope, "audience", audience,
		"subject_token", token, "subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
}

// present makes the visitor send a certificate to every server that requests one. With TLSClientConfig.Certificates Go would not
// send it to a server that lists other certification authorities.
func (v *visitor) present(pair *tls.Certificate) *visitor {
	v.http.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return pair, nil
	}
	return v
}

// mustObject returns the body, which must be a JSON object with the status 200.
func (a answer) mustObject(t *testing.T) (o object) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &o); err != nil || a.status != http.StatusOK {
		t.Fatalf("answered %d %s, want 200 and a JSON object", a.status, a.body)
	}
	return o
}

// mustMember returns a string member of the body.
func (a answer) mustMember(t *testing.T, name string) string {
	t.Helper()
	s, _ := a.mustObject(t)[name].(string)
	if s == "" {
		t.Fatalf("there is no %s in %s", name, a.body)
	}
	return s
}

// refusal returns the error code of an OAuth 2.0 response, or "".
func (a answer) refusal() string {
	var refused struct{ Error string }
	json.Unmarshal([]byte(a.body), &refused)
	return refused.Error
}

// A metadata is the metadata of an authorization server.
type metadata struct {
	t   *testing.T
	all object
}

func mustDiscover(t *testing.T, issuer string) metadata {
	t.Helper()
	m := metadata{t, newVisitor(t).call(issuer + "/.well-known/openid-configuration").mustObject(t)}
	if m.all["issuer"] != issuer {
		t.Fatalf("the metadata of %s is %v's", issuer, m.all["issuer"])
	}
	return m
}

func (m metadata) issuer() string { return m.all["issuer"].(string) }

// endpoint returns an endpoint by its metadata name without _endpoint: token, introspection, revocation, userinfo, authorization.
func (m metadata) endpoint(name string) string {
	m.t.Helper()
	address, _ := m.all[name+"_endpoint"].(string)
	if address == "" {
		m.t.Fatalf("%s has no %s_endpoint", m.issuer(), name)
	}
	return address
}

// mtls returns the mTLS alias of an endpoint (RFC 8705 §5).
func (m metadata) mtls(name string) string {
	m.t.Helper()
	aliases, _ := m.all["mtls_endpoint_aliases"].(object)
	return metadata{m.t, object{"issuer": m.issuer(), name + "_endpoint": aliases[name+"_endpoint"]}}.endpoint(name)
}

// mustVerify verifies a JWT with the issuer's published keys and also returns its typ.
func (m metadata) mustVerify(raw string) (b bearer, typ string) {
	t := m.t
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(newVisitor(t).call(m.all["jwks_uri"].(string)).body), &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA})
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	keys := set.Key(jws.Signatures[0].Protected.KeyID)
	if len(keys) != 1 {
		t.Fatalf("%d keys have the kid %q", len(keys), jws.Signatures[0].Protected.KeyID)
	}
	if _, err := jws.Verify(keys[0]); err != nil {
		t.Fatal(err)
	}
	typ, _ = jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string)
	return mustRead(t, raw), typ
}
