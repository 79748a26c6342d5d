package provider

import (
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// Media types of signed responses (RFC 7519 §10.3.1, RFC 9701 §10.2).
const (
	mediaJWT              = "application/jwt"
	mediaIntrospectionJWT = "application/token-introspection+jwt"
)

// answerJWT sends the successful response of an endpoint to a client as a JWT, after AdjustSignedAnswer. It is encrypted if
// the client, which may be nil, is registered for that. typ is media without application/, or JWT for mediaJWT.
func (p *Provider) answerJWT(w http.ResponseWriter, e Endpoint, c *Client, media, alg string, claims map[string]any) {
	claims = maps.Clone(claims)
	p.controls.adjusted(signedAnswers(e), claims)
	typ := "JWT"
	if media != mediaJWT {
		typ = strings.TrimPrefix(media, "application/")
	}
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	signed := p.SignJWT(claims, WithAlg(alg), WithHeader("typ", typ))
	switch {
	case c != nil && e == Userinfo:
		signed = p.encrypted(c, c.UserinfoEncryption, signed)
	case c != nil && e == Introspection:
		signed = p.encrypted(c, c.IntrospectionEncryption, signed)
	}
	w.Write([]byte(signed))
}

// prefers reports whether the Accept header names media, with at least the weight of JSON (RFC 9110 §12.5.1).
func prefers(r *http.Request, media string) bool {
	weight := map[string]float64{}
	for _, part := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		if err != nil {
			q = 1
		}
		weight[name] = q
	}
	return weight[media] > 0 && weight[media] >= weight["application/json"]
}
