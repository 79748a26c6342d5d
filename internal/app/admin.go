package app

import (
	"crypto/sha256"
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

	"sallyport/internal/audit"
	"sallyport/internal/oidc"
	"sallyport/internal/proxy"
)

// admin returns the handler of the admin listener. Health, readiness and metrics need no token, because they show no details. The admin
// API needs admin.token, or without one a request from this machine.
func (s *server) admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /metrics", s.serveMetrics())
	mux.Handle("/console/", s.adminConsole())
	mux.Handle("/console", http.RedirectHandler("/console/", http.StatusSeeOther))
	for pattern, serve := range map[string]http.HandlerFunc{
		"GET /openid-connect/jwks":                s.getKeys,
		"DELETE /openid-connect/jwks":             s.rotateKeys,
		"GET /openid-connect/issuers":             s.getIssuers,
		"DELETE /openid-connect/issuers":          s.forgetIssuers,
		"GET /openid-connect/issuers/{issuer}":    s.getIssuer,
		"DELETE /openid-connect/issuers/{issuer}": s.forgetIssuer,
		"GET /sessions":                           s.getSessions,
		"DELETE /sessions":                        s.endSessions,
	} {
		mux.HandleFunc(pattern, s.adminOnly(serve))
	}
	return proxy.WithTimeouts(mux, func() proxy.Timeouts { return timeouts(s.running()) })
}

// adminOnly answers 401 unless isAdmin accepts the request.
func (s *server) adminOnly(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.isAdmin(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="admin"`)
			text := "admin.token is required; if it isn't configured, the request must come from this machine"
			http.Error(w, text, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		serve(w, r)
	}
}

// isAdmin reports whether a request has the admin token. If none is configured, it reports whether the request comes from this machine.
func (s *server) isAdmin(r *http.Request) bool {
	token := s.running().Admin.Token
	if token == "" {
		return isLocal(r)
	}
	scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && token.Is(sent)
}

// isLocal reports whether a request comes from a loopback address and is for a loopback host. It refuses requests with Origin, because any
// web page in a local browser can cause those, and the check of the host is against DNS rebinding.
func isLocal(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	host, _, errHost := net.SplitHostPort(r.Host)
	if errHost != nil {
		host = r.Host
	}
	ip, errIP := netip.ParseAddr(strings.Trim(host, "[]"))
	forThisMachine := host == "localhost" || errIP == nil && ip.IsLoopback()
	return err == nil && peer.Addr().Unmap().IsLoopback() && forThisMachine && !isForwarded(r) && len(r.Header.Values("Origin")) == 0
}

// isForwarded reports whether a proxy, such as a route of this gate, has forwarded the request. Its client may be anywhere.
func isForwarded(r *http.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded-") {
			return true
		}
	}
	return slices.ContainsFunc([]string{"Forwarded", "Via", "X-Real-Ip"}, func(name string) bool { return len(r.Header[name]) > 0 })
}

// storeRetry is the time after which a client may repeat a request that a store has failed.
const storeRetry = 3 * time.Second

func (s *server) getKeys(w http.ResponseWriter, r *http.Request) {
	set, err := s.builder.Load().publicKeys(r.Context())
	if err != nil {
		s.log.Warn("the gate's public keys can't be read", "error", err)
	}
	if err != nil && len(set.Keys) == 0 {
		s.storeUnavailable(w, "the keys can't be read: see the log")
		return
	}
	w.Header().Set("Content-Type", jwkSetType)
	json.NewEncoder(w).Encode(set) // it can fail only if the connection does
}

func (s *server) rotateKeys(w http.ResponseWriter, r *http.Request) {
	if err := s.builder.Load().signer.Rotate(r.Context()); err != nil {
		s.log.Warn("the gate's keys can't be rotated", "error", err)
		s.storeUnavailable(w, "the keys can't be rotated: see the log")
		return
	}
	s.log.Info("the gate's keys are rotated on request", "client", r.RemoteAddr)
	s.state.audit.Write(audit.Event{Event: audit.Administration, Action: audit.KeysRotated, Client: r.RemoteAddr})
	w.WriteHeader(http.StatusNoContent)
}

// storeUnavailable answers 503: a store, of keys or sessions, can't be used at the moment.
func (s *server) storeUnavailable(w http.ResponseWriter, text string) {
	w.Header().Set("Retry-After", strconv.Itoa(int(storeRetry.Seconds())))
	http.Error(w, text, http.StatusServiceUnavailable)
}

// An issuerRecord is the JSON of an issuer: its metadata and public keys, as they were fetched.
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
	for _, i := range s.state.issuers.all() {
		records = append(records, newIssuerRecord(i))
	}
	slices.SortFunc(records, func(a, b issuerRecord) int { return strings.Compare(a.Issuer, b.Issuer) })
	writeAdminJSON(w, map[string]any{"data": records})
}

func (s *server) forgetIssuers(w http.ResponseWriter, r *http.Request) {
	s.state.audit.Write(audit.Event{Event: audit.Administration, Action: audit.IssuersForgotten, Client: r.RemoteAddr})
	for _, i := range s.state.issuers.all() {
		i.Forget()
	}
	w.WriteHeader(http.StatusNoContent)
}

// issuersOf returns the issuers that the path of a request names, by URL or ID. Several issuers have the same URL if routes reach it with
// different settings.
func (s *server) issuersOf(r *http.Request) (all []*oidc.Issuer) {
	for _, i := range s.state.issuers.all() {
		if name := r.PathValue("issuer"); name == i.URL() || name == newIssuerRecord(i).ID {
			all = append(all, i)
		}
	}
	return all
}

func (s *server) getIssuer(w http.ResponseWriter, r *http.Request) {
	all := s.issuersOf(r)
	if len(all) == 0 {
		http.Error(w, "no route has this issuer", http.StatusNotFound)
		return
	}
	writeAdminJSON(w, newIssuerRecord(all[0]))
}

func (s *server) forgetIssuer(w http.ResponseWriter, r *http.Request) {
	all := s.issuersOf(r)
	if len(all) == 0 {
		http.Error(w, "no route has this issuer", http.StatusNotFound)
		return
	}
	s.state.audit.Write(audit.Event{
		Event: audit.Administration, Action: audit.IssuersForgotten, Client: r.RemoteAddr, Issuer: all[0].URL(),
	})
	for _, i := range all {
		i.Forget()
	}
	w.WriteHeader(http.StatusNoContent)
}

func writeAdminJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) // it can fail only if the connection does
}
