package forwardauth

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"

	"sallyport/internal/proxy"
)

// A Config configures a handler.
type Config struct {
	Settings
	Gate   func() *proxy.Gate    // the one of the running configuration
	Trusts func(netip.Addr) bool // trusted_proxies: who may ask
	Log    *slog.Logger
}

// A handler answers the questions of proxies, and the requests for the gate's own paths that they pass on.
type handler struct {
	Config
	*Dialect
}

// New returns a handler for the listener of a proxy.
func New(c Config) http.Handler {
	h := &handler{c, dialects[c.Proxy]}
	switch c.Proxy {
	case "envoy_grpc":
		return http.HandlerFunc(h.serveEnvoy)
	case "oauth2_proxy":
		return http.HandlerFunc(h.serveOAuth2Proxy)
	}
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.trusts(r) {
		h.refuse(w, r, "its address isn't in trusted_proxies")
		return
	}
	q, isQuestion, err := h.question(&h.Settings, r)
	switch {
	case err != nil:
		h.refuse(w, r, err.Error())
	case !isQuestion:
		h.Gate().Answer(w, r, h.answersAll)
	default:
		h.ask(w, r, q)
	}
}

// ask decides the request of a question.
func (h *handler) ask(w http.ResponseWriter, r *http.Request, q *question) {
	client, err := q.request(r)
	if err != nil {
		h.refuse(w, r, err.Error())
		return
	}
	h.dropID(client)
	gate := h.Gate()
	permit := func(w http.ResponseWriter, p *proxy.Permit) error { return h.permit(w, h.answer(gate, q, client, p)) }
	switch {
	case !h.answersAll:
		gate.Ask(w, client, permit)
	case !gate.Judge(w, client, true, permit):
		w.Header().Set("X-Accel-Expires", "0")
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// answer returns the answer to a question. What it removes are the headers of the question that the upstream must not get, also those that
// the client's request for the gate doesn't have.
func (h *handler) answer(gate *proxy.Gate, q *question, client *http.Request, p *proxy.Permit) *answer {
	a := &answer{Permit: p, Dialect: h.Dialect, client: client.Header, names: gate.PermitNames()}
	for name := range q.header {
		if isForwarding(name) && name != "X-Forwarded-For" && p.Set[name] == nil {
			p.Remove = append(p.Remove, name)
		}
	}
	p.Remove = slices.DeleteFunc(p.Remove, h.isOwn)
	slices.Sort(p.Remove)
	return a
}

// dropID removes X-Request-Id from a client's request, unless the proxy has set it.
func (h *handler) dropID(client *http.Request) {
	if !h.ids {
		delete(client.Header, "X-Request-Id")
	}
}

func (h *handler) trusts(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && h.Trusts(peer.Addr().Unmap())
}

// refuse answers 403 to a proxy that may not ask, or asks wrongly. The proxy then refuses the client's request.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, why string) {
	h.Log.Warn("a question of a proxy is refused", "peer", r.RemoteAddr, "proxy", h.Proxy, "error", why)
	http.Error(w, "Forbidden: see the gate's log", http.StatusForbidden)
}
