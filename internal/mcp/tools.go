package mcp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"sallyport/internal/auth"
)

// The method of JSON-RPC that calls a tool (MCP, Tools), and the first revision whose servers refuse a request whose headers Mcp-Method and
// Mcp-Name differ from its body.
const (
	callTool    = "tools/call"
	firstToName = "2026-07-28"
)

// maxCallBody is the maximum length of a body that is read to learn its method, in bytes.
const maxCallBody = 64 << 10

var revision = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

// Tool returns the tool that a request calls, or "" if it calls none. It returns an error if that can't be known before the server has read
// the body: an earlier revision doesn't compare the headers with the body, so its calls of tools are refused where rules name tools.
func Tool(r *auth.Request) (string, error) {
	if err := checkForwarded(r.Header); err != nil {
		return "", refuseCall(err)
	}
	if r.Method != http.MethodPost {
		return "", nil
	}
	version, err := single(r.Header, "Mcp-Protocol-Version")
	if err != nil {
		return "", refuseCall(err)
	}
	if !revision.MatchString(version) || version < firstToName {
		return "", checkBody(r, version)
	}
	method, err := single(r.Header, "Mcp-Method")
	name, err2 := single(r.Header, "Mcp-Name")
	switch {
	case err != nil || err2 != nil:
		return "", refuseCall(errors.Join(err, err2))
	case method == "":
		return "", checkBody(r, version)
	case method != callTool:
		return "", nil
	}
	name, err = decodeName(name)
	switch {
	case err != nil:
		return "", refuseCall(fmt.Errorf("Mcp-Name: %w", err))
	case name == "":
		return "", refuseCall(errors.New("the call has no Mcp-Name"))
	}
	return name, nil
}

// checkForwarded returns an error for a request that the server may read otherwise than the gate: one whose headers of MCP don't reach
// it, because Connection names them (RFC 9110 §7.6.1), or that has another spelling of them, or that is an upgrade, whose messages nobody
// sees.
func checkForwarded(h http.Header) error {
	if len(h["Upgrade"]) > 0 {
		return errors.New("the request is an upgrade")
	}
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if strings.HasPrefix(auth.FoldHeader(strings.TrimSpace(name)), "MCP-") {
				return fmt.Errorf("Connection names %s, which would not be forwarded", strings.TrimSpace(name))
			}
		}
	}
	for name := range h {
		if folded := auth.FoldHeader(name); strings.HasPrefix(folded, "MCP-") && http.CanonicalHeaderKey(folded) != name {
			return fmt.Errorf("%s is another spelling of a header of MCP", name)
		}
	}
	return nil
}

// single returns the value of a header that may be there once.
func single(h http.Header, name string) (string, error) {
	switch values := h[name]; len(values) {
	case 0:
		return "", nil
	case 1:
		return strings.TrimSpace(values[0]), nil
	default:
		return "", fmt.Errorf("%s is there %d times", name, len(values))
	}
}

// decodeName returns a name from a header, which has another form if it isn't plain ASCII (MCP 2026-07-28, Transports).
func decodeName(text string) (string, error) {
	encoded, isEncoded := strings.CutPrefix(text, "=?base64?")
	if !isEncoded {
		return text, nil
	}
	encoded, closed := strings.CutSuffix(encoded, "?=")
	name, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || !closed {
		return "", errors.New("it isn't base64 between =?base64? and ?=")
	}
	return string(name), nil
}

// checkBody returns an error if the body calls a tool, or if its method can't be read.
func checkBody(r *auth.Request, version string) error {
	if r.Header.Get("Content-Encoding") != "" {
		return refuseCall(errors.New("the body has a Content-Encoding"))
	}
	switch {
	case r.ContentLength == 0:
		return nil
	case r.Body == nil || r.Body == http.NoBody: // the proxy that asks keeps it
		return refuseCall(errors.New("the gate doesn't get the body, and no headers say its method"))
	}
	body, err := r.ReadBody(maxCallBody)
	if err != nil {
		return refuseCall(err)
	}
	method, err := methodOf(body)
	switch {
	case err != nil:
		return refuseCall(err)
	case strings.EqualFold(method, callTool):
		return refuseCall(fmt.Errorf("it calls a tool without Mcp-Method and Mcp-Name of revision %s or later; its revision is %q",
			firstToName, version))
	}
	return nil
}

// methodOf returns the method of a JSON-RPC message; "" for a response, which has none. It returns an error for a body that a server could
// read in another way: with two methods, in any case of letters, or more than one message.
func methodOf(body []byte) (string, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", errors.New("the body isn't one JSON object: a batch, or no JSON")
	}
	method, found := "", false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", fmt.Errorf("the body can't be read: %w", err)
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return "", fmt.Errorf("the body can't be read: %w", err)
		}
		if name, _ := key.(string); !strings.EqualFold(name, "method") {
			continue
		}
		text, isText := value.(string)
		if found || !isText {
			return "", errors.New("the body has several methods, or one that isn't a string")
		}
		method, found = text, true
	}
	if _, err := d.Token(); err != nil {
		return "", fmt.Errorf("the body can't be read: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return "", errors.New("the body has more than one message")
	}
	return method, nil
}

func refuseCall(err error) error {
	e := auth.Forbidden("mcp_tool", err)
	e.Description = "This server lets some tools pass only by name: the client must speak revision " + firstToName + " of MCP."
	return e
}
