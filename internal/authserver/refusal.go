package authserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
)

// A refusal is an OAuth error (RFC 6749 §4.1.2.1, §5.2). Code and description are for the client, reason is for the log.
type refusal struct {
	status      int
	code        string
	description string
	reason      string        // empty: the same as the description
	basic       bool          // the client tried Basic: the response has a challenge (RFC 6749 §5.2)
	wait        time.Duration // for Retry-After
}

func (r *refusal) Error() string {
	if r.reason == "" {
		return r.code + ": " + r.description
	}
	return r.code + ": " + r.reason
}

// refuse returns a refusal with status 400.
func refuse(code, description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: code, description: description}
}

// because returns a copy of a refusal with a reason for the log.
func (r *refusal) because(reason string) *refusal {
	out := *r
	out.reason = reason
	return &out
}

// tooMany returns the refusal after too many failed attempts.
func tooMany(wait time.Duration) *refusal {
	return &refusal{
		status: http.StatusTooManyRequests, code: "temporarily_unavailable",
		description: "Too many wrong attempts. Please wait.", wait: wait,
	}
}

// answerJSON returns a JSON response, which must not be cached (RFC 6749 §5.1).
func answerJSON(status int, body any) *auth.Result {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // it would escape & in redirect URIs
	if err := e.Encode(body); err != nil {
		panic(err) // the bodies are maps and structs of strings and numbers
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
	header.Set("X-Content-Type-Options", "nosniff")
	return &auth.Result{Answer: &auth.Answer{Status: status, Header: header, Body: text.Bytes()}}
}

// answerError returns the OAuth error response of a refusal. It returns any other error as an error of the gate.
func (s *Site) answerError(r *auth.Request, endpoint string, err error) (*auth.Result, error) {
	var refused *refusal
	switch {
	case errors.As(err, &refused):
	case errors.Is(err, ErrUnavailable):
		return nil, auth.Unavailable("oauth2_unavailable", err)
	default:
		return nil, err
	}
	s.log.Info("oauth2 request refused", "request_id", r.ID, "endpoint", endpoint, "client", r.Client(), "error", refused.Error())
	s.audit.Write(audit.Event{
		Event: audit.Refusal, RequestID: r.ID, Client: r.Client(), Endpoint: endpoint, Status: refused.status, Why: refused.code,
	})
	res := answerJSON(refused.status, map[string]string{"error": refused.code, "error_description": refused.description})
	if refused.basic {
		res.Answer.Header.Set("WWW-Authenticate", `Basic realm="oauth2"`)
	}
	if refused.wait > 0 {
		res.Answer.Header.Set("Retry-After", strconv.Itoa(int(math.Ceil(refused.wait.Seconds()))))
	}
	return res, nil
}
