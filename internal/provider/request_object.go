package provider

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// maxRequestLifetime is the longest time from nbf to exp of a request object (FAPI 1.0 Part 2 §5.2.2).
const maxRequestLifetime = time.Hour

// readRequestObject verifies a request object (RFC 9101 §6) and returns its parameters. It is as strict as FAPI: typ, iss, one aud, nbf,
// exp at most an hour after that, a jti, and no sub. With once the jti must be new.
func (p *Provider) readRequestObject(c *Client, object string, once bool) (url.Values, *oauthError) {
	refuse := func(reason string) (url.Values, *oauthError) {
		return nil, refusal("invalid_request_object", "The request object "+reason+".")
	}
	signed, reason := p.decryptRequest(c, object)
	if reason != "" {
		return refuse(reason)
	}
	jws, err := jose.ParseSignedCompact(signed, asymmetricAlgs)
	if err != nil {
		return refuse("isn't a JWS with an asymmetric alg")
	}
	header := jws.Signatures[0].Header
	if header.ExtraHeaders[jose.HeaderType] != "oauth-authz-req+jwt" {
		return refuse("has another typ than oauth-authz-req+jwt")
	}
	if c.RequestObjectSigningAlg != "" && header.Algorithm != c.RequestObjectSigningAlg {
		return refuse("has another alg than " + c.RequestObjectSigningAlg)
	}
	payload, err := p.verifyWithClientKey(c, jws)
	if err != nil {
		return refuse("isn't signed by the client: " + err.Error())
	}
	claims, err := decodeClaims(payload)
	if err != nil {
		return refuse("has no claims")
	}
	if reason := p.checkRequestObject(c, claims, once); reason != "" {
		return refuse(reason)
	}
	return requestParams(claims), nil
}

// decryptRequest returns the signed request object in an encrypted one. Reason, if not empty, says what is wrong.
func (p *Provider) decryptRequest(c *Client, object string) (signed, reason string) {
	if strings.Count(object, ".") != 4 {
		if c.EncryptedRequests {
			return "", "isn't encrypted"
		}
		return object, ""
	}
	if p.config.RequestKey == nil {
		return "", "is encrypted, and this provider has no key for that"
	}
	jwe, err := jose.ParseEncryptedCompact(object,
		[]jose.KeyAlgorithm{jose.RSA_OAEP, jose.RSA_OAEP_256, jose.ECDH_ES, jose.ECDH_ES_A128KW, jose.ECDH_ES_A256KW},
		[]jose.ContentEncryption{jose.A128GCM, jose.A256GCM, jose.A128CBC_HS256, jose.A256CBC_HS512})
	if err != nil {
		return "", "isn't a JWE with an accepted alg and enc"
	}
	content, err := jwe.Decrypt(p.config.RequestKey.Key)
	if err != nil || jwe.Header.KeyID != p.config.RequestKey.KeyID {
		return "", "isn't encrypted with the key of this provider"
	}
	return string(content), ""
}

// checkRequestObject checks the claims of a request object and returns what is wrong, or "".
func (p *Provider) checkRequestObject(c *Client, claims map[string]any, once bool) string {
	exp, hasExp := numericDate(claims["exp"])
	nbf, hasNbf := numericDate(claims["nbf"])
	jti, _ := claims["jti"].(string)
	_, hasSub := claims["sub"]
	_, nested := claims["request"]
	_, refers := claims["request_uri"]
	switch {
	case claims["iss"] != c.ID || claims["client_id"] != c.ID:
		return "has another iss or client_id than the client"
	case claims["aud"] != p.Issuer():
		return "has another aud than the issuer as a string"
	case hasSub || nested || refers:
		return "has sub, request or request_uri"
	case !hasExp || !hasNbf || exp.Sub(nbf) > maxRequestLifetime:
		return "has no nbf or no exp, or they are more than an hour apart"
	case jti == "":
		return "has no jti"
	}
	for _, name := range []string{"claims", "authorization_details"} {
		if _, isString := claims[name].(string); isString {
			return "has " + name + " as a string"
		}
	}
	if reason := checkTimes(claims, p.now()); reason != "" {
		return reason
	}
	if once && !p.state.useOnce(c.ID+" "+jti, exp, p.now()) {
		return "was sent before"
	}
	return ""
}

// requestParams returns the claims of a request object as the parameters of a request.
func requestParams(claims map[string]any) url.Values {
	params := url.Values{}
	for name, v := range claims {
		list, isList := v.([]any)
		strings := isList && !slices.ContainsFunc(list, func(v any) bool { _, ok := v.(string); return !ok })
		switch text, isText := v.(string); {
		case slices.Contains([]string{"iss", "aud", "exp", "nbf", "iat", "jti"}, name):
		case isText:
			params.Set(name, text)
		case strings:
			for _, one := range list {
				params.Add(name, one.(string))
			}
		default:
			encoded, _ := json.Marshal(v) // it was decoded from JSON
			params.Set(name, string(encoded))
		}
	}
	return params
}
