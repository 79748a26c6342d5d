package authserver

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"sallyport/internal/auth"
)

// params are the parameters of a request. Each value is not empty, and no parameter but resource was repeated.
type params map[string]string

// maxForm is the maximum size of a form, in bytes.
const maxForm = 64 << 10

var errForm = refuse("invalid_request", "The request needs a form in its body: application/x-www-form-urlencoded.")

// readForm reads the parameters of a POST request. It refuses a request with a query: proxies and servers log URLs (RFC 6749 §2.3.1).
func readForm(r *auth.Request) (params, error) {
	kind, media, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := strings.ToLower(media["charset"])
	switch {
	case err != nil || kind != "application/x-www-form-urlencoded" || len(r.Header["Content-Type"]) > 1:
		return nil, errForm
	case charset != "" && charset != "utf-8" || r.Header.Get("Content-Encoding") != "" || r.Body == nil:
		return nil, errForm
	case r.URL.RawQuery != "":
		return nil, refuse("invalid_request", "The parameters belong into the body, not into the URL.")
	}
	body, err := r.ReadBody(maxForm)
	if err != nil {
		e := auth.AsError(err)
		return nil, (&refusal{status: e.Status, code: e.Code, description: e.Description}).because(e.Error())
	}
	return parseParams(string(body))
}

// parseParams parses an encoded query or form. It refuses a repeated parameter, and omits an empty one (RFC 6749 §3.1, §3.2). Several
// values of resource are joined by spaces.
func parseParams(encoded string) (params, error) {
	values, err := url.ParseQuery(encoded)
	if err != nil {
		return nil, refuse("invalid_request", "The parameters can't be read.")
	}
	p := params{}
	for name, list := range values {
		value := list[0]
		if name == "resource" { // the only one that may be repeated (RFC 8707 §2); no URL has a space
			value = strings.Join(list, " ")
		}
		switch {
		case len(list) > 1 && name != "resource":
			return nil, errTwice
		case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
			return nil, refuse("invalid_request", "A parameter isn't UTF-8 text.")
		case value != "":
			p[name] = value
		}
	}
	return p, nil
}

var errTwice = refuse("invalid_request", "A parameter comes twice.")

// basicPair reads client_secret_basic. Unlike a user's name and password, client_id and client_secret are form-encoded in it (RFC 6749
// §2.3.1). It reports tried unless the request has no Authorization header.
func basicPair(h http.Header) (id, secret string, tried bool, err error) {
	values := h["Authorization"]
	if len(values) == 0 {
		return "", "", false, nil
	}
	id, secret, ok := (&http.Request{Header: h}).BasicAuth()
	if len(values) > 1 || !ok {
		return "", "", true, errors.New("expected one Authorization header with Basic and base64 of client_id:client_secret")
	}
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	if errID != nil || errSecret != nil || id == "" {
		return "", "", true, errors.New("client_id and client_secret aren't form-encoded (RFC 6749 §2.3.1)")
	}
	return id, secret, true, nil
}
