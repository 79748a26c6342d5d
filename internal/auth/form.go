package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
)

// A Form is the body of a request, which is read whole because a flow reads credentials from it. The body is still forwarded.
type Form struct {
	Values url.Values // of a JSON object: its string members
	raw    []byte
	isForm bool
	json   []member // of a JSON body, in order
}

// A member is a member of a JSON object. A repeated name makes two members.
type member struct {
	name  string
	text  []byte // the name as it is written
	value json.RawMessage
}

// bodyMethods lists the methods whose body may carry a credential (RFC 6750 §2.2, RFC 9110 §9.3).
var bodyMethods = []string{http.MethodPost, http.MethodPut, http.MethodPatch}

// Form returns the parameters of a body that is a form or a JSON object. It parses the body once. It doesn't read other bodies, and those
// of methods that define no body. The error is an *Error: see ReadBody.
func (r *Request) Form(limit int64) (*Form, error) {
	if r.form != nil {
		return r.form, nil
	}
	if r.bodyErr != nil {
		return nil, r.bodyErr
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	isForm, isJSON := kind == "application/x-www-form-urlencoded", kind == "application/json" || strings.HasSuffix(kind, "+json")
	encoded := r.Header.Get("Content-Encoding") != "" || r.Header.Get("Upgrade") != ""
	if !isForm && !isJSON || encoded || !slices.Contains(bodyMethods, r.Method) || r.Body == nil || r.Body == http.NoBody {
		r.form = &Form{Values: url.Values{}}
		return r.form, nil
	}
	raw, err := r.ReadBody(limit)
	if err != nil {
		return nil, err
	}
	f := &Form{Values: url.Values{}, raw: raw, isForm: isForm}
	switch {
	case isForm:
		f.Values, _ = url.ParseQuery(string(raw)) // pairs that it can't read are left out
	default:
		f.readJSON()
	}
	r.form = f
	return f, nil
}

// ReadBody reads the whole body, and replaces it by a copy that can be forwarded. The error is an *Error: 413 for more than limit bytes,
// 408 if the client stopped sending, 400 if the body can't be read. Later calls return the same error, because a body that was read in
// part can't be read again or forwarded.
func (r *Request) ReadBody(limit int64) ([]byte, error) {
	if r.bodyErr != nil {
		return nil, r.bodyErr
	}
	raw, err := r.readBody(limit)
	if err != nil {
		r.bodyErr = err
		return nil, err
	}
	r.setBody(raw)
	return raw, nil
}

// BodyErr returns the error of ReadBody. It is nil if the body was not read.
func (r *Request) BodyErr() error { return r.bodyErr }

func (r *Request) readBody(limit int64) ([]byte, error) {
	if r.ContentLength > limit { // nothing is read, and no 100 (Continue) asks for more (RFC 9110 §10.1.1)
		return nil, bodyTooLarge(limit)
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &Error{Status: http.StatusRequestTimeout, Code: "invalid_request", Reason: "body_stalled",
			Description: "The rest of the request did not arrive in time.",
			Err:         fmt.Errorf("after %d bytes of the body: %w", len(raw), err)}
	case err != nil:
		return nil, InvalidRequest("body_unreadable", err)
	case int64(len(raw)) > limit:
		return nil, bodyTooLarge(limit)
	}
	return raw, nil
}

func bodyTooLarge(limit int64) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Code: "invalid_request", Reason: "body_too_large",
		Description: "The request is too large.", Err: fmt.Errorf("the body is longer than %d bytes, and may hold credentials", limit)}
}

func (r *Request) setBody(raw []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	r.TransferEncoding = nil
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
}

// readJSON parses a body that is one JSON object. Any other body has no parameters.
func (f *Form) readJSON() {
	d := json.NewDecoder(bytes.NewReader(f.raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return
	}
	var members []member
	for d.More() {
		before := d.InputOffset()
		t, err := d.Token()
		name, isName := t.(string)
		if err != nil || !isName {
			return
		}
		m := member{name: name, text: bytes.TrimLeft(f.raw[before:d.InputOffset()], ", \t\r\n")}
		if d.Decode(&m.value) != nil {
			return
		}
		members = append(members, m)
	}
	if _, err := d.Token(); err != nil {
		return
	}
	if _, err := d.Token(); err != io.EOF {
		return
	}
	f.json = members
	for _, m := range members {
		var s string
		if json.Unmarshal(m.value, &s) == nil && !bytes.Equal(m.value, []byte("null")) {
			f.Values.Add(m.name, s)
		}
	}
}

// HideBody removes parameters from the body that is forwarded, and leaves the others as they were written. It doesn't change a body that
// was not read.
func (r *Request) HideBody(names []string) {
	if r.form == nil || len(r.form.raw) == 0 || len(names) == 0 {
		return
	}
	switch {
	case r.form.isForm:
		r.setBody([]byte(WithoutParams(string(r.form.raw), names)))
		return
	case r.form.json == nil: // not an object, which has no members
		return
	}
	var b bytes.Buffer
	for _, m := range r.form.json {
		if slices.Contains(names, m.name) {
			continue
		}
		b.WriteString(map[bool]string{true: "{", false: ","}[b.Len() == 0])
		b.Write(m.text)
		b.WriteByte(':')
		b.Write(m.value)
	}
	if b.Len() == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	r.setBody(b.Bytes())
}

// WithoutParams removes parameters from an encoded query or form, and leaves the others as they were written.
func WithoutParams(encoded string, names []string) string {
	var kept []string
	for pair := range strings.SplitSeq(encoded, "&") {
		name, _, _ := strings.Cut(pair, "=")
		decoded, err := url.QueryUnescape(name)
		if err != nil {
			decoded = name
		}
		if !slices.Contains(names, decoded) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}
