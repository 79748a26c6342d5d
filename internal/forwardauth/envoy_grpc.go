package forwardauth

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"sallyport/internal/proxy"
)

// checkPath is the path of the gRPC method by which Envoy asks (envoy.service.auth.v3).
const checkPath = "/envoy.service.auth.v3.Authorization/Check"

// maxCheckRequest is the maximum length of a question over gRPC, in bytes: Envoy's limits for headers are below it.
const maxCheckRequest = 1 << 20

// serveEnvoy answers questions over gRPC, and the requests for the gate's own paths that Envoy passes on.
func (h *handler) serveEnvoy(w http.ResponseWriter, r *http.Request) {
	switch {
	case !h.trusts(r):
		h.refuse(w, r, "its address isn't in trusted_proxies")
	case r.URL.Path != checkPath:
		h.Gate().Answer(w, r, false)
	default:
		res, err := h.check(r)
		writeMessage(w, res, err)
		if err != nil {
			h.Log.Warn("a question of a proxy is refused", "peer", r.RemoteAddr, "proxy", h.Proxy, "error", err)
		}
	}
}

// check decides the request of a question and returns the encoded CheckResponse.
func (h *handler) check(r *http.Request) ([]byte, error) {
	message, err := readMessage(r)
	if err != nil {
		return nil, err
	}
	asked, err := decodeCheckRequest(message)
	if err != nil {
		return nil, err
	}
	q := &question{method: asked.method, host: asked.host, uri: asked.path, client: []string{asked.address}, header: asked.header}
	if q.scheme, err = only(q.header, "X-Forwarded-Proto"); err != nil { // that of request.http is the client's own word over HTTP/2
		return nil, err
	}
	client, err := q.request(r)
	if err != nil {
		return nil, err
	}
	gate := h.Gate()
	var allowed []byte
	refused := &captured{header: http.Header{}}
	gate.Ask(refused, client, func(w http.ResponseWriter, p *proxy.Permit) error {
		allowed = encodeAllowed(h.answer(gate, q, client, p))
		w.WriteHeader(http.StatusOK) // for the log
		return nil
	})
	if allowed != nil {
		return allowed, nil
	}
	return encodeDenied(refused), nil
}

// A captured is a response that is written into memory, to be sent as a message.
type captured struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (c *captured) Header() http.Header { return c.header }

func (c *captured) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
}

func (c *captured) Write(b []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	return c.body.Write(b)
}

// readMessage reads the only message of a unary call: a byte that says whether it is compressed, four bytes of its length, and the message
// (gRPC over HTTP2, Length-Prefixed-Message).
func readMessage(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxCheckRequest+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxCheckRequest:
		return nil, fmt.Errorf("the question is longer than %d bytes", maxCheckRequest)
	case len(body) < 5 || int64(binary.BigEndian.Uint32(body[1:])) != int64(len(body)-5):
		return nil, errors.New("expected one message of gRPC")
	case body[0] != 0:
		return nil, errors.New("expected a message without compression")
	}
	return body[5:], nil
}

// The status codes of gRPC that answer a question.
const (
	grpcOK              = 0
	grpcInvalidArgument = 3
)

// writeMessage writes the message of a unary call, or its failure. Envoy refuses the client's request after a failure.
func writeMessage(w http.ResponseWriter, message []byte, err error) {
	h, status := w.Header(), grpcOK
	h.Set("Content-Type", "application/grpc")
	if err == nil {
		prefix := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
		w.Write(append(prefix, message...))
	} else {
		status = grpcInvalidArgument
		h.Set(http.TrailerPrefix+"Grpc-Message", "see the log of the gate")
	}
	h.Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(status))
}
