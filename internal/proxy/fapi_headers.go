package proxy

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// ResponseSettings are the settings of the oidc: block for all responses of a route. Of several issuers each can demand them for the route,
// because the issuer of a request may be unknown.
type ResponseSettings struct {
	// InteractionID sends X-Fapi-Interaction-Id to the upstream and to the client, and logs it (FAPI 1.0 Baseline §6.2.1).
	InteractionID bool `yaml:"fapi_interaction_id" default:"false"`
	// HSTSMaxAge is the max-age of Strict-Transport-Security in the gate's own pages (RFC 6797 §6.1); 0: not sent.
	HSTSMaxAge time.Duration `yaml:"hsts_max_age" default:"0"`
}

// Add adds what another issuer of the route demands.
func (s *ResponseSettings) Add(other ResponseSettings) {
	s.InteractionID = s.InteractionID || other.InteractionID
	s.HSTSMaxAge = max(s.HSTSMaxAge, other.HSTSMaxAge)
}

const interactionHeader = "X-Fapi-Interaction-Id"

// setInteraction sets the ID of the interaction: the client's, or a new one if the client sends none that is a UUID.
func (d *Decision) setInteraction() {
	if !d.Route.Responses.InteractionID {
		return
	}
	if sent := d.Request.Header[interactionHeader]; len(sent) == 1 && check.IsUUID(sent[0]) {
		d.interaction = sent[0]
		return
	}
	d.interaction = newUUID()
}

// newUUID returns a random UUID (RFC 9562 §5.4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// withInteraction returns a header of the response with the ID of the interaction. It doesn't change the header.
func (d *Decision) withInteraction(h http.Header) http.Header {
	if d.interaction == "" {
		return h
	}
	return auth.MergeHeader(http.Header{interactionHeader: {d.interaction}}, h)
}

// setHSTS sets Strict-Transport-Security in a response of the gate itself that is sent over TLS.
func (d *Decision) setHSTS(h http.Header) {
	if d.Route == nil || d.Route.Responses.HSTSMaxAge == 0 || !d.Secure() {
		return
	}
	h.Set("Strict-Transport-Security", fmt.Sprintf("max-age=%d", int(d.Route.Responses.HSTSMaxAge.Seconds())))
}
