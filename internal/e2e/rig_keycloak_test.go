package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// The secrets of the clients of testdata/keycloak, whose README describes them. kong has a key and client-tls-auth a certificate.
const (
	appSecret            = "app-secret-of-the-test-realm-0001"
	appShortSecret       = "app-short-secret-of-the-test-realm-0002"
	serviceSecret        = "service-secret-of-the-test-realm-0003"
	otherAppSecret       = "app-secret-of-the-other-realm-0004"
	otherServiceSecret   = "service-secret-of-the-other-realm-0005"
	secretJWTSecret      = "secret-jwt-secret-of-the-test-realm-0007"
	certBoundSecret      = "cert-bound-secret-of-the-test-realm-0008"
	dpopSecret           = "client-dpop-auth-secret-of-the-test-realm-0009"
	lightweightSecret    = "lightweight-secret-of-the-test-realm-0010"
	userinfoSignedSecret = "userinfo-signed-secret-of-the-test-realm-0011"
	exchangeTargetSecret = "exchange-target-secret-of-the-test-realm-0012"
	shortLife            = 10 * time.Second // of app-short's access tokens
)

// clientSecrets must not appear in any gate's log.
var clientSecrets = []string{appSecret, appShortSecret, serviceSecret, otherAppSecret, otherServiceSecret, secretJWTSecret,
	certBoundSecret, dpopSecret, lightweightSecret, userinfoSignedSecret, exchangeTargetSecret}

// A keycloakServer is a Keycloak process with a copy of the golden database. The issuer of a realm depends on the requested
// address: each realm is one issuer over HTTP and another over HTTPS.
type keycloakServer struct {
	url    string // http://127.0.0.1:PORT
	urlTLS string // https://127.0.0.1:PORT; requests a client certificate and rejects one that the test CA hasn't issued
	caFile string // the test CA
	admin  *admin
	log    *logBuffer
	proc   *process
}

const keycloakStart = 4 * time.Minute // the maximum; 10 s on an idle machine

func startKeycloak(dir string) (*keycloakServer, error) {
	db := filepath.Join(dir, "keycloak")
	if err := os.Mkdir(db, 0o700); err != nil {
		return nil, err
	}
	golden, err := os.ReadFile(filepath.Join(root, ".cache/keycloak/golden.mv.db"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(db, "keycloakdb.mv.db"), golden, 0o600); err != nil {
		return nil, err
	}
	certFile, keyFile, err := testCA.serverPair(db)
	if err != nil {
		return nil, err
	}
	port, portTLS, health := freeport.Port(), freeport.Port(), freeport.Port()
	k := &keycloakServer{url: fmt.Sprintf("http://127.0.0.1:%d", port), urlTLS: fmt.Sprintf("https://127.0.0.1:%d", portTLS),
		caFile: testCA.file, log: &logBuffer{}}
	k.admin = &admin{base: k.url}
	env := []string{
		"JAVA_OPTS_KC_HEAP=-Xms64m -Xmx384m",
		"JAVA_OPTS_APPEND=-XX:+UseSerialGC -XX:-UseG1GC -XX:TieredStopAtLevel=1 -Xss512k -Djava.net.preferIPv4Stack=true",
	}
	k.proc, err = startProcess(k.log, env, filepath.Join(root, ".cache/keycloak/home/bin/kc.sh"), "start", "--optimized",
		"--cache=local", "--http-enabled=true", "--hostname-strict=false", // the issuer depends on the Host header
		"--http-host=127.0.0.1", fmt.Sprintf("--http-port=%d", port), fmt.Sprintf("--https-port=%d", portTLS),
		"--https-certificate-file="+certFile, "--https-certificate-key-file="+keyFile,
		"--https-trust-store-file="+testCA.file, // for client certificates; --truststore-paths would write into the shared home
		"--http-management-host=127.0.0.1", fmt.Sprintf("--http-management-port=%d", health), "--http-management-scheme=http",
		"--spi-public-key-storage--infinispan--min-time-between-requests=-1", // fetch a client's new key at once; 0 is a second
		fmt.Sprintf("--db-url=jdbc:h2:file:%s/keycloakdb;NON_KEYWORDS=VALUE;DB_CLOSE_ON_EXIT=FALSE", db))
	if err != nil {
		return nil, err
	}
	ready := fmt.Sprintf("http://127.0.0.1:%d/health/ready", health)
	if !await(keycloakStart, func() bool { return answers(ready, http.StatusOK) || !k.proc.running() }) || !k.proc.running() {
		k.stop()
		return nil, fmt.Errorf("Keycloak isn't ready; it wrote:\n%s", k.log)
	}
	return k, nil
}

func (k *keycloakServer) stop() {
	if k != nil {
		k.proc.kill()
	}
}

// issuer returns the issuer of a realm, and issuerTLS that over HTTPS, which mutual TLS needs.
func (k *keycloakServer) issuer(realm string) string    { return issuerAt(k.url, realm) }
func (k *keycloakServer) issuerTLS(realm string) string { return issuerAt(k.urlTLS, realm) }

func issuerAt(base, realm string) string { return base + "/realms/" + realm }

// isLogin reports whether an address is the login form of a realm.
func (k *keycloakServer) isLogin(address, realm string) bool {
	return strings.HasPrefix(address, k.issuer(realm)+"/protocol/openid-connect/auth")
}

// mustToken sends a token request and returns the access token.
func (k *keycloakServer) mustToken(t *testing.T, realm string, form url.Values) string {
	t.Helper()
	res, err := http.PostForm(k.issuer(realm)+"/protocol/openid-connect/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("Keycloak gave no token for %v: %d %s", form.Get("grant_type"), res.StatusCode, body)
	}
	return answer.AccessToken
}

// mustServiceToken returns an access token of the client_credentials grant with aud app.
func (k *keycloakServer) mustServiceToken(t *testing.T, realm string) string {
	t.Helper()
	secret := map[string]string{"sallyport": serviceSecret, "other": otherServiceSecret}[realm]
	return k.mustToken(t, realm, url.Values{"grant_type": {"client_credentials"}, "client_id": {"service"}, "client_secret": {secret}})
}

// mustUserToken returns a user's access token of the password grant.
func (k *keycloakServer) mustUserToken(t *testing.T, client, secret, user string) string {
	t.Helper()
	return k.mustToken(t, "sallyport", url.Values{"grant_type": {"password"}, "scope": {"openid profile email"},
		"client_id": {client}, "client_secret": {secret}, "username": {user}, "password": {"doe"}})
}
