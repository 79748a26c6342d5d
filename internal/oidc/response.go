package oidc

import (
	"bytes"
	"net/http"
	"strings"
)

// A response is a response of the authorization server, whose body was read whole.
type response struct {
	status int
	header http.Header
	body   []byte
}

// bom is the byte order mark that some servers write before JSON. A reader may ignore it (RFC 8259 §8.1).
var bom = []byte("\xef\xbb\xbf")

// json returns the body without a byte order mark.
func (r *response) json() []byte { return bytes.TrimPrefix(r.body, bom) }

// jwt returns a body that is a JWT.
func (r *response) jwt() string { return strings.TrimSpace(string(r.json())) }

// object decodes a body that is a JSON object, as decodeObject does.
func (r *response) object() (map[string]any, error) { return decodeObject(r.json()) }

// logIgnored logs, once each, the members of a response that are ignored. Document names the response in the log.
func (i *Issuer) logIgnored(document string, ignored []ignoredMember) {
	for _, m := range ignored {
		if i.logged.add(document + " " + m.name + " " + m.reason.Error()) {
			i.log.Warn("a part of the issuer's answer is ignored", "issuer", i.url, "answer", document, "member", m.name, "error", m.reason)
		}
	}
}
