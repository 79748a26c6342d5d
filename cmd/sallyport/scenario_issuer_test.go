package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/provider"
)

// requestKey is the key of both providers that decrypts request objects.
var requestKey = func() *jose.JSONWebKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // crypto/rand failed
	}
	return &jose.JSONWebKey{Key: key, KeyID: "requests", Use: "enc", Algorithm: "ECDH-ES+A256KW"}
}()

// encryption is how the providers encrypt answers to the client encrypted.
var encryption = provider.Encryption{Alg: jose.ECDH_ES_A256KW, Enc: jose.A256GCM}

// providerConfig returns the configuration of both providers of a scenario.
func providerConfig(gate string) provider.Config {
	callbacks := []string{"http://127.0.0.1/oauth2/callback", "http://127.0.0.1/app/oauth2/callback",
		"https://app.example.com/oauth2/callback"}
	backchannel, frontchannel := "http://"+gate+"/oauth2/backchannel-logout", "http://"+gate+"/oauth2/frontchannel-logout"
	return provider.Config{
		Scopes: []string{"read", "write"}, ACRValues: []string{"1", "2"}, AudienceParameter: true,
		AuthorizationDetailsTypes: []string{"payment"}, RequestKey: requestKey,
		Clients: []provider.Client{
			{ID: "app", Secret: "app-secret", RedirectURIs: callbacks, PostLogoutRedirectURIs: []string{"http://127.0.0.1/bye"}},
			{ID: "second", Secret: "second-secret", AuthMethod: "client_secret_post",
				RedirectURIs: []string{"http://127.0.0.1/second/callback"}},
			{ID: "notified", Secret: "notified-secret", RedirectURIs: callbacks, BackchannelLogoutURI: backchannel},
			{ID: "notified-too", Secret: "notified-secret", RedirectURIs: callbacks, BackchannelLogoutURI: backchannel},
			{ID: "framed", Secret: "framed-secret", RedirectURIs: callbacks, FrontchannelLogoutURI: frontchannel},
			{ID: "service", Secret: "service-secret", AccessTokenAudience: []string{"app"}, NoRefreshToken: true},
			{ID: "opaque", Secret: "opaque-secret", AccessTokenAudience: []string{"app"}, OpaqueAccessTokens: true, AnyAudience: true,
				RedirectURIs: callbacks},
			{ID: "stranger", Secret: "stranger-secret"},
			{ID: "signing", AuthMethod: "private_key_jwt", JWKSURI: "http://" + gate + "/keys", RedirectURIs: callbacks, AnyAudience: true},
			{ID: "pushing", Secret: "pushing-secret", AuthMethod: "client_secret_post", PushedRequests: true, RedirectURIs: callbacks},
			{ID: "requesting", Secret: "requesting-secret", JWKSURI: "http://" + gate + "/keys", SignedRequests: true,
				RequestObjectSigningAlg: "PS256", RedirectURIs: callbacks},
			{ID: "sealed", Secret: "sealed-secret", JWKSURI: "http://" + gate + "/keys", EncryptedRequests: true, SignedRequests: true,
				RedirectURIs: callbacks},
			{ID: "answered", Secret: "answered-secret", AuthorizationSignedResponseAlg: "ES256", RedirectURIs: callbacks},
			{ID: "encrypted", Secret: "encrypted-secret", JWKSURI: "http://" + gate + "/keys", IDTokenEncryption: encryption,
				UserinfoEncryption: encryption, IntrospectionEncryption: encryption, AuthorizationEncryption: encryption,
				AccessTokenAudience: []string{"encrypted"}, OpaqueAccessTokens: true, RedirectURIs: callbacks},
			{ID: "hmac", AuthMethod: "client_secret_jwt", Secret: "hmac-secret-of-thirty-two-bytes-0"},
			{ID: "signed", Secret: "signed-secret", UserinfoSignedResponseAlg: "ES256", AnyAudience: true, RedirectURIs: callbacks},
			{ID: "edwards", Secret: "edwards-secret", IDTokenAlg: "Ed25519", UserinfoSignedResponseAlg: "Ed25519", RedirectURIs: callbacks},
			{ID: "bound", DPoP: true, RedirectURIs: callbacks},
			{ID: "bank", AuthMethod: "private_key_jwt", JWKSURI: "http://" + gate + "/keys", DPoP: true, PushedRequests: true,
				AnyAudience: true, IDTokenAlg: "PS256", AuthorizationSignedResponseAlg: "PS256", IntrospectionSignedResponseAlg: "PS256",
				RedirectURIs: append(slices.Clone(callbacks), "http://127.0.0.1/signed/oauth2/callback")},
			{ID: "short", Secret: "short-secret", AccessTokenAudience: []string{"app"}, AccessTokenLifetime: 4 * time.Second},
		},
		Users: []provider.User{
			{Username: "john", Password: "doe", Claims: map[string]any{"name": "John Doe", "email": "john@example.com",
				"roles": []string{"user", "admin"}, "groups": []string{"staff"}}},
			{Username: "jane", Password: "doe", Claims: map[string]any{"name": "Jane Doe", "roles": []string{"user"}}},
			{Username: "dora", Password: "doe", Claims: map[string]any{"roles": []string{"user"}, "groups": []string{"staff"}},
				Distributed: []string{"roles"}, Aggregated: []string{"groups"}},
		},
	}
}

func (s *scene) issuer(neg bool, args []string) {
	p := s.provider
	switch args[0] {
	case "down":
		p.Close()
	case "up":
		p.Reopen()
	case "rotate":
		p.RotateKeys(false)
	case "asked":
		if got := fmt.Sprint(p.Requests(provider.Endpoint(args[1]))); got != args[2] {
			s.ts.Fatalf("%s was asked %s times, expected %s", args[1], got, args[2])
		}
	case "refreshed":
		if got := fmt.Sprint(p.RefreshCount()); got != args[1] {
			s.ts.Fatalf("tokens were refreshed %s times, expected %s", got, args[1])
		}
	case "revoke":
		if len(args) > 1 {
			p.Revoke(args[1])
			return
		}
		p.RevokeAll()
	default:
		s.issuerMore(neg, args)
	}
}

// issuerMore implements the other subcommands of issuer.
func (s *scene) issuerMore(neg bool, args []string) {
	p := s.provider
	switch args[0] {
	case "id":
		p.AdjustIDToken(members(args[1:]))
	case "userinfo":
		p.AdjustAnswer(provider.Userinfo, func(claims map[string]any) {
			for _, arg := range args[1:] {
				name, value, _ := strings.Cut(arg, "=")
				claims[name] = claimValue(value)
			}
		})
	case "expire":
		p.Expire(args[1])
	case "logout":
		if got := fmt.Sprint(slices.Sorted(maps.Values(p.EndSessions(args[1])))); got != fmt.Sprint(args[2:]) {
			s.ts.Fatalf("the logout tokens were answered %s, expected %s", got, args[2:])
		}
	case "revoked":
		if !p.Revoked(args[1]) {
			s.ts.Fatalf("the token isn't revoked")
		}
	case "sent":
		var b bytes.Buffer
		for name, values := range p.LastForm(provider.Endpoint(args[1])) {
			fmt.Fprintf(&b, "%s=%s\n", name, strings.Join(values, ","))
		}
		p.LastHeader(provider.Endpoint(args[1])).Write(&b)
		sent := strings.ReplaceAll(b.String(), "\r\n", "\n")
		switch {
		case !neg:
			s.match(sent, args[2], "what the provider was sent")
		case regexp.MustCompile("(?m)" + args[2]).MatchString(sent):
			s.ts.Fatalf("the provider was sent what it should not:\n%s", sent)
		}
	case "garbage":
		p.Break(provider.Endpoint(args[1]), func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "<html>not a response of this endpoint</html>")
		})
	case "huge":
		p.Break(provider.Endpoint(args[1]), func(w http.ResponseWriter, r *http.Request) {
			chunk := bytes.Repeat([]byte{' '}, 1<<20)
			for range 100 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})
	case "slow":
		p.Break(provider.Endpoint(args[1]), func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(30 * time.Second):
			}
		})
	case "mend":
		p.Break(provider.Endpoint(args[1]), nil)
	default:
		s.issuerSays(args)
	}
}

// A runningTB is a testing.TB for provider.Start and redistest.Start whose cleanups run at the end of a running scenario.
type runningTB struct {
	testing.TB
	ts *testscript.TestScript
}

func (l runningTB) Cleanup(f func())                  { l.ts.Defer(f) }
func (l runningTB) Helper()                           {}
func (l runningTB) Fatalf(format string, args ...any) { l.ts.Fatalf(format, args...) }
func (l runningTB) Errorf(format string, args ...any) { l.ts.Fatalf(format, args...) }
func (l runningTB) Fatal(args ...any)                 { l.ts.Fatalf("%s", fmt.Sprint(args...)) }

// TempDir returns a folder with a short path, because the paths of Unix sockets are limited.
func (l runningTB) TempDir() string {
	dir, err := os.MkdirTemp("", "scene")
	l.ts.Check(err)
	l.ts.Defer(func() { os.RemoveAll(dir) })
	return dir
}

// secure replaces the provider by one that uses HTTPS.
func (s *scene) secure(bool, []string) {
	config := providerConfig(s.ts.Getenv("GATE"))
	config.Clients = append(config.Clients, provider.Client{ID: "certified", AuthMethod: "tls_client_auth", TLSSubjectDN: "CN=certified",
		AccessTokenAudience: []string{"certified"}, AnyAudience: true, RedirectURIs: []string{
			"http://127.0.0.1/oauth2/callback", "http://127.0.0.1/own/oauth2/callback",
		}})
	s.provider.Close()
	s.provider = provider.StartTLS(runningTB{ts: s.ts}, config)
	cert, key := provider.CertificatePEM(s.provider.ClientCert("certified"))
	s.ts.Setenv("ISSUER", s.provider.URL)
	s.ts.Setenv("MTLS", s.provider.MTLSURL)
	s.ts.Setenv("CA", s.write("ca.pem", s.provider.CAPEM()))
	s.ts.Setenv("CERT", s.write("client.pem", cert))
	s.ts.Setenv("KEY", s.write("client.key", key))
	s.roots = x509.NewCertPool()
	s.roots.AppendCertsFromPEM(s.provider.CAPEM())
	s.trust()
}

// write writes a file into the scenario's folder and returns its path.
func (s *scene) write(name string, data []byte) string {
	path := s.ts.MkAbs(name)
	s.ts.Check(os.WriteFile(path, data, 0o600))
	return path
}
