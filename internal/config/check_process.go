package config

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// each checks every element of a list of texts.
func (b *block) each(key string, list []string, check func(string) error) {
	for i, text := range list {
		path := fmt.Sprintf("%s[%d]", key, i)
		if err := check(text); err != nil && !b.find(path).bad {
			b.complain(path, "%s: %v", b.shown(path), err)
		}
	}
}

// one checks a text, unless it isn't set.
func (b *block) one(key, text string, check func(string) error) {
	if text == "" {
		return
	}
	if err := check(text); err != nil {
		b.complain(key, "%s: %v", b.shown(key), err)
	}
}

// must complains unless something holds.
func (b *block) must(key string, holds bool, format string, args ...any) {
	if !holds {
		b.complain(key, format, args...)
	}
}

// checkProcess judges the keys of the process.
func checkProcess(b *block, f *File) {
	taken := map[string]string{}
	for i, l := range f.Listen {
		key := fmt.Sprintf("listen[%d]", i)
		address := key + ".address"
		b.address(address, l.Address, taken)
		if l.TLS != nil {
			b.tls(key+".tls", l.TLS)
		}
	}
	if f.Admin.Listen != "off" {
		b.address("admin.listen", f.Admin.Listen, taken)
	}
	f.OwnPages = b.pages("pages", f.Pages)
	checkProcessTexts(b, f)
	for i, p := range f.TrustedProxies {
		if p.IsValid() && p.Bits() == 0 {
			b.warn(fmt.Sprintf("trusted_proxies[%d]", i), "%s lets every client say who it is by X-Forwarded-For", p)
		}
	}
}

// checkKeys judges the keys: block, and says where its keys are used that no replica and no restart shares.
func checkKeys(b *block, f *File) {
	k := &f.Keys
	b.must("keys.file", k.Storage != "file" || k.File != "", "storage: file needs the file's path: add it")
	if k.Storage != "memory" && len(k.Secret) == 0 {
		b.complain("keys.storage", "%s needs a secret that seals the keys: add secret: (openssl rand -base64 32)", k.Storage)
	}
	for i, secret := range k.Secret {
		b.must(fmt.Sprintf("keys.secret[%d]", i), len(secret) >= 32 || secret == "",
			"it has %d bytes and needs 32 or more: write the output of openssl rand -base64 32", len(secret))
	}
	b.one("keys.public_path", k.PublicPath, checkPath)
	b.redis("keys.redis", &k.Redis)
	if k.Storage != "memory" {
		return
	}
	for _, r := range f.parts() {
		if key := r.usesKeys(); key != "" {
			r.block.warn(key, "the gate makes the key itself, a new one at each start and in each replica: write keys: {storage: ...} beside routes: to keep it")
		}
	}
}

// checkOAuth2 judges the built-in authorization server, and that the routes which take its tokens have one.
func checkOAuth2(b *block, f *File) {
	if f.OAuth2 != nil {
		for _, p := range f.OAuth2.Check() {
			b.complain("oauth2."+p.Key, "%s", p.Text)
		}
		b.redis("oauth2.redis", &f.OAuth2.Redis)
	}
	at := ""
	for _, r := range f.parts() {
		if !r.HasOIDC || !r.OIDC.Flow.UsesAuthServer() {
			continue
		}
		if f.OAuth2 != nil && f.OAuth2.Issuer != "" && r.OIDC.Flow.Client.Issuer != cmp.Or(at, r.OIDC.Flow.Client.Issuer) {
			r.block.warn("auth_methods", "the built-in authorization server's tokens name their user by sub alone, and its users log in at %s, too: one sub could be two people, so leave oauth2.issuer out, or kong_oauth2 here", at)
		}
		at = cmp.Or(at, r.OIDC.Flow.Client.Issuer)
		if f.OAuth2 == nil {
			r.block.complain("auth_methods", "kong_oauth2 takes the tokens of the built-in authorization server, and there is none: write oauth2: {clients: [...]} beside routes:")
			continue
		}
		if f.OAuth2.Issuer == "" && len(r.Route.Hosts) == 0 && r.Route.PublicURL == "" {
			r.block.warn("auth_methods", "kong_oauth2 names itself by the Host header, because nothing else says who it is: write oauth2.issuer, or public_url or hosts of the route")
		}
	}
}

// usesKeys names the setting that makes the gate sign with a key of its own, or is empty.
func (r *Route) usesKeys() string {
	s := &r.OIDC.Flow.Client
	if !r.HasOIDC || len(s.ClientJWK) > 0 || len(s.ClientAssertionFile) > 0 {
		return ""
	}
	if slices.Contains(s.ClientAuth, "private_key_jwt") {
		return "client_auth"
	}
	for key, method := range map[string]string{
		"token_endpoint_auth_method": s.TokenEndpointAuthMethod, "introspection_endpoint_auth_method": s.IntrospectionEndpointAuthMethod,
		"revocation_endpoint_auth_method": s.RevocationEndpointAuthMethod,
	} {
		if method == "private_key_jwt" {
			return key
		}
	}
	return ""
}

// address checks host:port, and that no listener before has it. Port 0 is any free one.
func (b *block) address(key, text string, taken map[string]string) {
	if text == "" {
		return // missing, and said so
	}
	_, port, err := net.SplitHostPort(text)
	n, errPort := strconv.Atoi(port)
	switch {
	case strings.HasPrefix(text, "*:"):
		b.complain(key, "%s: every address is written without the *: write :%s", quote(text), port)
	case err != nil || errPort != nil || n < 0 || n > 65535 || strings.Contains(text, "/"):
		b.complain(key, "expected host:port such as 127.0.0.1:8000 or :8443, got %s", quote(text))
	case n == 0:
	case taken[text] != "":
		b.complain(key, "%s is taken by %s: choose another port", text, taken[text])
	default:
		taken[text] = keyName(key)
	}
}

// tls reads the files, so that a listener that can't be opened is found by check as well.
func (b *block) tls(key string, t *TLS) {
	if t.CertFile != "" && t.KeyFile != "" {
		if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
			b.complain(key+".cert_file", "the certificate and its key can't be used: %v", err)
		}
	}
	b.pem(key+".client_ca_file", t.ClientCAFile)
	verifies := strings.Contains(t.ClientAuth, "verify")
	b.must(key+".client_auth", !verifies || t.ClientCAFile != "", "%s needs client_ca_file, or every public authority could vouch for a client", t.ClientAuth)
	b.must(key+".client_ca_file", verifies || t.ClientCAFile == "", "it isn't used: write client_auth: require_and_verify")
}

// pem checks a file of certificates.
func (b *block) pem(key, name string) {
	if name == "" {
		return
	}
	data, err := readFile(name)
	if err != nil {
		b.complain(key, "%s can't be read: %v", quote(name), err)
		return
	}
	b.must(key, x509.NewCertPool().AppendCertsFromPEM(data), "%s holds no PEM certificate", quote(name))
}

// parts are the oidc blocks of all routes.
func (f *File) parts() (all []Route) {
	for i := range f.Routes {
		all = append(all, f.Routes[i].parts()...)
	}
	return all
}
