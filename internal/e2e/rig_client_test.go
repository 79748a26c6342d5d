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

// A clientAuth adds a client's authentication to a form that is posted to an authorization server: OIDC Core section 9,
// RFC 8705 section 2.
type clientAuth func(t *testing.T, form url.Values, header http.Header)

// clientNone only names the client: a public one, or one that authenticates by its certificate.
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

// clientSecretJWT signs an assertion for the audience, which is the issuer, with HS256.
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

// assertion are the claims of RFC 7523 section 3.
func assertion(id, audience string) object {
	now := time.Now()
	return object{"iss": id, "sub": id, "aud": audience, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
}

func assert(form url.Values, jwt string) {
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", jwt)
}

// ask posts a form as a client; header are names and values.
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

// accessToken asks the token endpoint and returns the access token.
func (v *visitor) accessToken(m metadata, as clientAuth, form url.Values) string {
	v.t.Helper()
	return v.ask(m.endpoint("token"), as, form).mustMember(v.t, "access_token")
}

// grant is a token request's form: grant_type, scope, and more names and values.
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

// exchange is an exchange of an access token for one of an audience: RFC 8693 section 2.1.
func exchange(token, audience, scope string) url.Values {
	return grant(tokenExchange, scope, "audience", audience,
		"subject_token", token, "subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
}

// present makes the visitor show a certificate to every server that asks for one. With TLSClientConfig.Certificates Go would
// keep it to itself where the server names the authorities it trusts and this one isn't among them.
func (v *visitor) present(pair *tls.Certificate) *visitor {
	v.http.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return pair, nil
	}
	return v
}

// mustObject is the answer's body, if that is a JSON object and the status is 200.
func (a answer) mustObject(t *testing.T) (o object) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &o); err != nil || a.status != http.StatusOK {
		t.Fatalf("answered %d %s, want 200 and a JSON object", a.status, a.body)
	}
	return o
}

// mustMember is a string in such a body.
func (a answer) mustMember(t *testing.T, name string) string {
	t.Helper()
	s, _ := a.mustObject(t)[name].(string)
	if s == "" {
		t.Fatalf("there is no %s in %s", name, a.body)
	}
	return s
}

// refusal is the error code of an OAuth 2.0 answer, or empty.
func (a answer) refusal() string {
	var refused struct{ Error string }
	json.Unmarshal([]byte(a.body), &refused)
	return refused.Error
}

// A metadata is what an authorization server says of itself.
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

// endpoint is an address by its name without the _endpoint: token, introspection, revocation, userinfo, authorization.
func (m metadata) endpoint(name string) string {
	m.t.Helper()
	address, _ := m.all[name+"_endpoint"].(string)
	if address == "" {
		m.t.Fatalf("%s has no %s_endpoint", m.issuer(), name)
	}
	return address
}

// mtls is the address for clients that present a certificate: RFC 8705 section 5.
func (m metadata) mtls(name string) string {
	m.t.Helper()
	aliases, _ := m.all["mtls_endpoint_aliases"].(object)
	return metadata{m.t, object{"issuer": m.issuer(), name + "_endpoint": aliases[name+"_endpoint"]}}.endpoint(name)
}

// mustVerify checks a JWT's signature by the issuer's published keys, and returns its typ too.
func (m metadata) mustVerify(raw string) (b bearer, typ string) {
	t := m.t
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(newVisitor(t).call(m.all["jwks_uri"].(string)).body), &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA})
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
