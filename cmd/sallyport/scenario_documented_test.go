package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport/internal/provider"
)

// A documented provider answers what the files of a scenario say, as the documentation of a product does:
//
//	metadata.json       its metadata, whose endpoints it serves
//	token.json          token responses; refresh.json those to a refresh token
//	id_token.json       the claims of $ID_TOKEN in these responses, besides iat and exp
//	access_token.json   likewise of $ACCESS_TOKEN, which is opaque without this file
//	userinfo.json, introspection.json   responses
//
// $NONCE is that of the authorization request, and $AT_HASH that of the access token. The origins of the product stand for its own.
type documented struct {
	url     string
	signer  *provider.Provider
	folder  string
	origins *strings.Replacer

	mu        sync.Mutex
	nonce     string
	refreshes int // number of token requests with a refresh token
}

// document starts a provider that answers what the files in a folder say. The other arguments are the origins of the product.
func (s *scene) document(_ bool, args []string) {
	d := &documented{signer: s.provider, folder: s.ts.MkAbs(args[0])}
	server := httptest.NewServer(d)
	s.ts.Defer(server.Close)
	d.url = server.URL
	s.documents, s.product = d, product{origins: args[1:]}
	d.origins = strings.NewReplacer(s.product.replacements(d.url)...)
	s.ts.Setenv("ISSUER", d.url)
	s.ts.Setenv("OIDC_CLIENT_SECRET", "app-secret")
}

// signed sets a variable to a JWT of the documented provider with the claims in a file.
func (s *scene) signed(_ bool, args []string) {
	token := s.documents.sign(args[1], nil)
	if token == "" {
		s.ts.Fatalf("%s has no claims", args[1])
	}
	s.ts.Setenv(args[0], token)
}

// refreshed checks how often the documented provider has been asked to refresh.
func (s *scene) refreshed(_ bool, args []string) {
	d := s.documents
	d.mu.Lock()
	defer d.mu.Unlock()
	if strconv.Itoa(d.refreshes) != args[0] {
		s.ts.Fatalf("%d refreshes, expected %s", d.refreshes, args[0])
	}
}

func (d *documented) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	metadata, at := d.read("metadata.json", nil), d.url+r.URL.Path
	switch at {
	case metadata["authorization_endpoint"]:
		d.authorize(w, r)
	case metadata["token_endpoint"]:
		d.token(w, r)
	case metadata["jwks_uri"]:
		d.keys(w)
	case metadata["userinfo_endpoint"]:
		d.answer(w, d.read("userinfo.json", nil))
	case metadata["introspection_endpoint"]:
		d.answer(w, d.read("introspection.json", nil))
	case metadata["end_session_endpoint"]:
		q := r.URL.Query()
		http.Redirect(w, r, q.Get("post_logout_redirect_uri")+"?"+url.Values{"state": {q.Get("state")}}.Encode(), http.StatusFound)
	case strings.TrimSuffix(text(metadata["issuer"]), "/") + "/.well-known/openid-configuration":
		d.answer(w, metadata)
	default:
		http.NotFound(w, r)
	}
}

// authorize answers an authorization request as if the user were logged in.
func (d *documented) authorize(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	d.mu.Lock()
	d.nonce = asked.Get("nonce")
	d.mu.Unlock()
	http.Redirect(w, r, asked.Get("redirect_uri")+"?"+url.Values{"code": {"c"}, "state": {asked.Get("state")}}.Encode(), http.StatusFound)
}

func (d *documented) token(w http.ResponseWriter, r *http.Request) {
	file := "token.json"
	if r.PostFormValue("grant_type") == "refresh_token" {
		file = "refresh.json"
		d.mu.Lock()
		d.refreshes++
		d.mu.Unlock()
	}
	d.answer(w, d.read(file, d.tokens()))
}

// tokens returns the tokens that token responses name.
func (d *documented) tokens() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	access := cmp.Or(d.sign("access_token.json", []string{"$NONCE", d.nonce, "$AT_HASH", "of another token"}), "an-opaque-token")
	sum := sha256.Sum256([]byte(access))
	hash := base64.RawURLEncoding.EncodeToString(sum[:16])
	return []string{"$ACCESS_TOKEN", access, "$ID_TOKEN", d.sign("id_token.json", []string{"$NONCE", d.nonce, "$AT_HASH", hash})}
}

// sign returns a JWT with the claims in a file; "" without the file.
func (d *documented) sign(file string, values []string) string {
	claims := d.read(file, values)
	if claims == nil {
		return ""
	}
	times := map[string]any{"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(times, claims)
	return d.signer.SignJWT(times)
}

func (d *documented) keys(w http.ResponseWriter) {
	jwks := httptest.NewRecorder()
	d.signer.ServeHTTP(jwks, httptest.NewRequest(http.MethodGet, string(provider.JWKS), nil))
	_, _ = w.Write(jwks.Body.Bytes())
}

// read reads a file with values in their places; nil if there is none or it has no object, which the gate then complains of.
func (d *documented) read(file string, values []string) (object map[string]any) {
	data, err := os.ReadFile(filepath.Join(d.folder, file))
	if err != nil {
		return nil
	}
	_ = json.Unmarshal([]byte(strings.NewReplacer(values...).Replace(d.origins.Replace(string(data)))), &object)
	return object
}

// answer sends an object, or 404 without one.
func (d *documented) answer(w http.ResponseWriter, object map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	if object == nil {
		w.WriteHeader(http.StatusNotFound)
	}
	_ = json.NewEncoder(w).Encode(object)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
