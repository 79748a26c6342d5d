package app

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/oidc"
	"sallyport/internal/proxy"
)

// admin is the listener for the people who run the gate. Health and readiness are for all, because they say nothing; the
// rest is for whoever has the token, or without one for this machine alone.
func (s *server) admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	for pattern, serve := range map[string]http.HandlerFunc{
		"GET /openid-connect/jwks":                s.getKeys,
		"DELETE /openid-connect/jwks":             s.rotateKeys,
		"GET /openid-connect/issuers":             s.getIssuers,
		"DELETE /openid-connect/issuers":          s.forgetIssuers,
		"GET /openid-connect/issuers/{issuer}":    s.getIssuer,
		"DELETE /openid-connect/issuers/{issuer}": s.forgetIssuer,
	} {
		mux.HandleFunc(pattern, s.private(serve))
	}
	return proxy.OwnAnswers(mux, func() proxy.Timeouts { return timeouts(s.running()) })
}

// private lets in who may know what is inside.
func (s *server) private(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.insider(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="admin"`)
			http.Error(w, "this needs the token of admin.token, or without one a request of this machine itself", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		serve(w, r)
	}
}

// insider reports whether a request has the admin token. Where none is configured it is this machine's: a loopback peer that asks
// for a loopback host, and no page of a browser, which could be anybody's (DNS rebinding).
func (s *server) insider(r *http.Request) bool {
	token := string(s.running().Admin.Token)
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token == "" {
		return local(r)
	}
	return strings.EqualFold(scheme, "Bearer") && sameSecret(given, token)
}

func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func local(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	host, _, errHost := net.SplitHostPort(r.Host)
	if errHost != nil {
		host = r.Host
	}
	ip, errIP := netip.ParseAddr(strings.Trim(host, "[]"))
	here := host == "localhost" || errIP == nil && ip.IsLoopback()
	return err == nil && peer.Addr().Unmap().IsLoopback() && here &&
		len(r.Header.Values("Origin")) == 0 && len(r.Header.Values("X-Forwarded-For")) == 0
}

func (s *server) getKeys(w http.ResponseWriter, r *http.Request) {
	set, err := s.builder.Load().signer.Public(r.Context())
	if err != nil {
		s.log.Warn("the gate's keys can't be had", "error", err)
	}
	if err != nil && len(set.Keys) == 0 {
		s.keysUnavailable(w, "the keys can't be had: see the log")
		return
	}
	w.Header().Set("Content-Type", jwkSetType)
	json.NewEncoder(w).Encode(set) // what fails here is the connection
}

func (s *server) rotateKeys(w http.ResponseWriter, r *http.Request) {
	if err := s.builder.Load().signer.Rotate(r.Context()); err != nil {
		s.log.Warn("the gate's keys can't be rotated", "error", err)
		s.keysUnavailable(w, "the keys can't be rotated: see the log")
		return
	}
	s.log.Info("the gate's keys are rotated, as asked", "client", r.RemoteAddr)
	w.WriteHeader(http.StatusNoContent)
}

// keysUnavailable answers that the store of the keys can't be reached now.
func (s *server) keysUnavailable(w http.ResponseWriter, text string) {
	w.Header().Set("Retry-After", strconv.Itoa(int(keyRetry.Seconds())))
	http.Error(w, text, http.StatusServiceUnavailable)
}

// An issuerRecord is what is known of an issuer: its metadata and public keys, as they came.
type issuerRecord struct {
	ID            string            `json:"id"`
	Issuer        string            `json:"issuer"`
	Created       int64             `json:"created_at,omitempty"` // Unix seconds of the last discovery
	Configuration json.RawMessage   `json:"configuration,omitempty"`
	Keys          []json.RawMessage `json:"keys"`
}

func newIssuerRecord(i *oidc.Issuer) issuerRecord {
	sum := sha256.Sum256([]byte(i.URL()))
	document, fetched := i.Document()
	r := issuerRecord{ID: hex.EncodeToString(sum[:8]), Issuer: i.URL(), Configuration: document, Keys: i.PublicKeys()}
	if !fetched.IsZero() {
		r.Created = fetched.Truncate(time.Second).Unix()
	}
	return r
}

func (s *server) getIssuers(w http.ResponseWriter, _ *http.Request) {
	records := []issuerRecord{}
	for _, i := range s.kept.issuers.all() {
		records = append(records, newIssuerRecord(i))
	}
	slices.SortFunc(records, func(a, b issuerRecord) int { return strings.Compare(a.Issuer, b.Issuer) })
	writeAdminJSON(w, map[string]any{"data": records})
}

func (s *server) forgetIssuers(w http.ResponseWriter, _ *http.Request) {
	for _, i := range s.kept.issuers.all() {
		i.Forget()
	}
	w.WriteHeader(http.StatusNoContent)
}

// named are the issuers of an URL, percent-encoded in the path, or an ID: one, or several that are reached in different ways.
func (s *server) named(r *http.Request) (all []*oidc.Issuer) {
	for _, i := range s.kept.issuers.all() {
		if name := r.PathValue("issuer"); name == i.URL() || name == newIssuerRecord(i).ID {
			all = append(all, i)
		}
	}
	return all
}

func (s *server) getIssuer(w http.ResponseWriter, r *http.Request) {
	all := s.named(r)
	if len(all) == 0 {
		http.Error(w, "no route has this issuer", http.StatusNotFound)
		return
	}
	writeAdminJSON(w, newIssuerRecord(all[0]))
}

func (s *server) forgetIssuer(w http.ResponseWriter, r *http.Request) {
	all := s.named(r)
	if len(all) == 0 {
		http.Error(w, "no route has this issuer", http.StatusNotFound)
		return
	}
	for _, i := range all {
		i.Forget()
	}
	w.WriteHeader(http.StatusNoContent)
}

func writeAdminJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) // what fails here is the connection
}
