package forwardauth

import (
	"errors"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of envoy.service.auth.v3 are read and written field by field: the generated types would add 5 MB to the binary. The numbers
// are those of external_auth.proto, attribute_context.proto, address.proto, base.proto and google/rpc/status.proto.

// A checkRequest is a CheckRequest, as far as the gate uses it.
type checkRequest struct {
	method, host, path string
	address            string // of the client
	header             http.Header
}

// decodeCheckRequest decodes a CheckRequest. It returns an error if the message isn't valid or has no request.
func decodeCheckRequest(b []byte) (*checkRequest, error) {
	q := &checkRequest{header: http.Header{}}
	attributes, err := message(b, 1)
	if err != nil {
		return nil, err
	}
	source, err := message(attributes, 1, 1, 1) // Peer, Address, SocketAddress
	if err == nil {
		q.address, err = text(source, 2)
	}
	if err != nil {
		return nil, err
	}
	http, err := message(attributes, 4, 2) // Request, HttpRequest
	if err != nil {
		return nil, err
	}
	for number, field := range map[protowire.Number]*string{2: &q.method, 4: &q.path, 5: &q.host} {
		if *field, err = text(http, number); err != nil {
			return nil, err
		}
	}
	return q, each(http, func(number protowire.Number, value []byte) error {
		switch number {
		case 3: // headers
		case 13: // header_map, in the place of headers
			return errors.New("expected a question with headers: take encode_raw_headers out of Envoy's configuration")
		default:
			return nil
		}
		name, err := text(value, 1)
		if err != nil {
			return err
		}
		line, err := optional(value, 2) // an empty text isn't encoded
		if err != nil {
			return err
		}
		if !strings.HasPrefix(name, ":") { // a pseudo-header of HTTP/2: its value stands in a field
			name = textproto.CanonicalMIMEHeaderKey(name)
			q.header[name] = append(q.header[name], string(line))
		}
		return nil
	})
}

var errMessage = errors.New("expected a CheckRequest of envoy.service.auth.v3 with source.address.socket_address and request.http")

// each calls f for each field of a message that has a length: texts, bytes and messages.
func each(b []byte, f func(protowire.Number, []byte) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errMessage
		}
		b = b[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
				return errMessage
			}
			b = b[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return errMessage
		}
		b = b[n:]
		if err := f(number, value); err != nil {
			return err
		}
	}
	return nil
}

// field returns the value of a field that must be there.
func field(b []byte, want protowire.Number) ([]byte, error) {
	value, err := optional(b, want)
	if err == nil && value == nil {
		err = errMessage
	}
	return value, err
}

// optional returns the value of a field, or nil. It returns an error for two: they could be merged in different ways.
func optional(b []byte, want protowire.Number) (value []byte, err error) {
	err = each(b, func(number protowire.Number, v []byte) error {
		if number != want {
			return nil
		}
		if value != nil {
			return errMessage
		}
		value = append([]byte{}, v...)
		return nil
	})
	return value, err
}

// message returns the message in the field of a message in a field, and so on.
func message(b []byte, path ...protowire.Number) (_ []byte, err error) {
	for _, number := range path {
		if b, err = field(b, number); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func text(b []byte, number protowire.Number) (string, error) {
	value, err := field(b, number)
	return string(value), err
}

// encodeAllowed encodes a CheckResponse with an OkHttpResponse.
func encodeAllowed(a *answer) []byte {
	var ok []byte
	for _, name := range slices.Sorted(maps.Keys(a.Set)) {
		for n, line := range a.Set[name] {
			ok = appendHeader(ok, 2, name, line, n > 0)
		}
	}
	for _, name := range a.absent() {
		ok = protowire.AppendTag(ok, 5, protowire.BytesType)
		ok = protowire.AppendString(ok, strings.ToLower(name))
	}
	for _, name := range slices.Sorted(maps.Keys(a.Response)) {
		for n, line := range a.Response[name] {
			ok = appendHeader(ok, 6, name, line, n > 0 || name == "Set-Cookie")
		}
	}
	return appendMessage(appendMessage(nil, 1, nil), 3, ok) // google.rpc.Status of code 0
}

// encodeDenied encodes a CheckResponse with a DeniedHttpResponse.
func encodeDenied(c *captured) []byte {
	const permissionDenied = 7
	status := protowire.AppendTag(nil, 1, protowire.VarintType)
	var denied []byte
	denied = appendMessage(denied, 1, protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(c.status)))
	for _, name := range slices.Sorted(maps.Keys(c.header)) {
		for _, line := range c.header[name] { // Envoy keeps all
			denied = appendHeader(denied, 2, name, line, false)
		}
	}
	denied = protowire.AppendTag(denied, 3, protowire.BytesType)
	denied = protowire.AppendBytes(denied, c.body.Bytes())
	return appendMessage(appendMessage(nil, 1, protowire.AppendVarint(status, permissionDenied)), 2, denied)
}

// appendHeader appends a HeaderValueOption with a line, which is added to those that are there, or replaces them.
func appendHeader(b []byte, number protowire.Number, name, line string, added bool) []byte {
	value := protowire.AppendTag(nil, 1, protowire.BytesType)
	value = protowire.AppendString(value, strings.ToLower(name))
	value = protowire.AppendTag(value, 2, protowire.BytesType)
	option := appendMessage(nil, 1, protowire.AppendString(value, line))
	const addAlways, replace = 0, 2
	action := uint64(replace)
	if added {
		action = addAlways
		option = appendMessage(option, 2, protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)) // append: true
	}
	option = protowire.AppendTag(option, 3, protowire.VarintType)
	return appendMessage(b, number, protowire.AppendVarint(option, action))
}

func appendMessage(b []byte, number protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), m)
}
