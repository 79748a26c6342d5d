package proxy

import (
	"net/http"
	"slices"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// A sessionField is a header whose value comes from the properties of a session.
type sessionField struct {
	header string
	value  func(*auth.Session) any
}

// A SessionProperty is a value of session_request_headers and session_response_headers.
type SessionProperty string

// Choices returns the values.
func (SessionProperty) Choices(string) (values, defaults []string) {
	for p := range sessionProperties {
		values = append(values, string(p))
	}
	slices.Sort(values)
	return values, nil
}

// sessionProperties has the headers of the properties. The names are those of Kong.
var sessionProperties = map[SessionProperty]sessionField{
	"absolute-timeout": {"Session-Absolute-Timeout", func(s *auth.Session) any { return seconds(s.Absolute) }},
	"audience":         {"Session-Audience", func(s *auth.Session) any { return s.Audience }},
	"id":               {"Session-Id", sessionID},
	"idling-timeout":   {"Session-Idling-Timeout", func(s *auth.Session) any { return seconds(s.Idling) }},
	"rolling-timeout":  {"Session-Rolling-Timeout", func(s *auth.Session) any { return seconds(s.Rolling) }},
	"subject":          {"Session-Subject", func(s *auth.Session) any { return s.Subject }},
	"timeout":          {"Session-Timeout", func(s *auth.Session) any { return seconds(s.Timeout()) }},
}

func sessionID(s *auth.Session) any { return s.ID }

// seconds returns a number of whole seconds, or nil for a timeout that is off.
func seconds(left time.Duration) any {
	if left == 0 {
		return nil
	}
	return int64(left / time.Second)
}

// sessionFields returns the headers of these properties, and the one for the ID, unless its name is empty.
func sessionFields(properties []SessionProperty, idHeader string) (all []sessionField) {
	for _, name := range properties {
		all = append(all, sessionProperties[name])
	}
	if idHeader != "" {
		all = append(all, sessionField{canonical(idHeader), sessionID})
	}
	return all
}

// setSessionFields sets the headers for which the session has a value. refused are the headers whose value headerValue refuses.
func setSessionFields(h http.Header, fields []sessionField, s *auth.Session) (refused []string) {
	if s == nil {
		return nil
	}
	for _, f := range fields {
		v := f.value(s)
		if v == nil || v == "" {
			continue
		}
		value, ok := headerValue(v, false)
		if !ok {
			refused = append(refused, f.header)
			continue
		}
		h[f.header] = []string{value}
	}
	return refused
}

// sentSession returns the headers of a list of properties.
func sentSession(key string, properties []SessionProperty) (all []check.SentHeader) {
	for _, name := range properties {
		all = append(all, check.SentHeader{Key: key, Name: sessionProperties[name].header})
	}
	return all
}

// SendsSession reports whether any header sends a property of the session.
func (h *HeaderSettings) SendsSession() bool {
	return len(h.SessionRequestHeaders)+len(h.SessionResponseHeaders) > 0 || h.Upstream.SessionIDHeader+h.Downstream.SessionIDHeader != ""
}
