package authserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"sallyport/internal/auth"
)

// A refusal is an error in OAuth's words (RFC 6749 §4.1.2.1, §5.2): Code and description are for the client, reason is for
// the log.
type refusal struct {
	status      int
	code        string
	description string
	reason      string        // empty: the description says it
	basic       bool          // the client tried Basic, and is told that it may (RFC 6749 §5.2)
	wait        time.Duration // after which it may try again
}

func (r *refusal) Error() string {
	if r.reason == "" {
		return r.code + ": " + r.description
	}
	return r.code + ": " + r.reason
}

// refuse is an error of status 400.
func refuse(code, description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: code, description: description}
}

// because returns a refusal that says more to the log.
func (r *refusal) because(reason string) *refusal {
	out := *r
	out.reason = reason
	return &out
}

// tooMany is the answer to somebody who was wrong too often.
func tooMany(wait time.Duration) *refusal {
	return &refusal{status: http.StatusTooManyRequests, code: "temporarily_unavailable", description: "Too many wrong attempts. Please wait.", wait: wait}
}

// answerJSON is a response of the token endpoint and its like. It is never kept (RFC 6749 §5.1).
func answerJSON(status int, body any) *auth.Result {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // a redirect URI is full of &
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

// answerError turns a refusal into its response, and whatever else stood in the way into the gate's own error.
func (s *site) answerError(r *auth.Request, endpoint string, err error) (*auth.Result, error) {
	var refused *refusal
	switch {
	case errors.As(err, &refused):
	case errors.Is(err, ErrUnavailable):
		return nil, auth.Unavailable("oauth2_unavailable", err)
	default:
		return nil, err
	}
	s.log.Info("oauth2 request refused", "request_id", r.ID, "endpoint", endpoint, "client", r.Client(), "error", refused.Error())
	res := answerJSON(refused.status, map[string]string{"error": refused.code, "error_description": refused.description})
	if refused.basic {
		res.Answer.Header.Set("WWW-Authenticate", `Basic realm="oauth2"`)
	}
	if refused.wait > 0 {
		res.Answer.Header.Set("Retry-After", strconv.Itoa(int(math.Ceil(refused.wait.Seconds()))))
	}
	return res, nil
}
