package forwardauth

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"sallyport/internal/proxy"
)

// A part is a field of a message for encode: a number, and a text or the fields of a message.
type part struct {
	number protowire.Number
	value  any // string or []part
}

func encode(parts ...part) (b []byte) {
	for _, p := range parts {
		switch v := p.value.(type) {
		case string:
			b = protowire.AppendString(protowire.AppendTag(b, p.number, protowire.BytesType), v)
		case []part:
			b = appendMessage(b, p.number, encode(v...))
		}
	}
	return b
}

func checkRequestOf(source, request []part) []byte {
	return encode(part{1, []part{{1, []part{{1, []part{{1, source}}}}}, {4, []part{{2, request}}}}})
}

var (
	sourceParts  = []part{{2, "203.0.113.7"}}
	requestParts = []part{
		{2, "GET"}, {4, "/api?x=1"}, {5, "app.example.com"}, {6, "https"},
		{3, []part{{1, ":path"}, {2, "/open"}}},
		{3, []part{{1, "authorization"}, {2, "Bearer x"}}},
		{3, []part{{1, "x-empty"}}},
	}
)

func with(all []part, more ...part) []part { return append(append([]part{}, all...), more...) }

func TestCheckRequest(t *testing.T) {
	got, err := decodeCheckRequest(checkRequestOf(sourceParts, requestParts))
	want := &checkRequest{
		method: "GET", path: "/api?x=1", host: "app.example.com", address: "203.0.113.7",
		header: http.Header{"Authorization": {"Bearer x"}, "X-Empty": {""}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, expected %+v", got, err, want)
	}
	peer := part{1, []part{{1, []part{{1, sourceParts}}}}}
	for name, b := range map[string][]byte{
		"nothing":                       nil,
		"no source":                     checkRequestOf(nil, requestParts),
		"no request":                    encode(part{1, []part{peer}}),
		"two requests":                  encode(part{1, []part{peer, {4, []part{{2, requestParts}, {2, requestParts}}}}}),
		"two paths":                     checkRequestOf(sourceParts, with(requestParts, part{4, "/open"})),
		"two methods":                   checkRequestOf(sourceParts, with(requestParts, part{2, "POST"})),
		"two addresses":                 checkRequestOf(with(sourceParts, part{2, "127.0.0.1"}), requestParts),
		"two attributes":                append(checkRequestOf(sourceParts, requestParts), checkRequestOf(sourceParts, requestParts)...),
		"a named header without a name": checkRequestOf(sourceParts, with(requestParts, part{3, []part{{2, "x"}}})),
		"raw headers":                   checkRequestOf(sourceParts, with(requestParts, part{13, []part{{1, []part{{1, "x"}}}}})),
		"cut off":                       checkRequestOf(sourceParts, requestParts)[:40],
		"no bytes":                      {0xff},
	} {
		if got, err := decodeCheckRequest(b); err == nil {
			t.Errorf("%s: decoded as %+v", name, got)
		}
	}
}

// TestCheckResponse checks the messages that Envoy receives, by what a reader of them finds.
func TestCheckResponse(t *testing.T) {
	b := encodeAllowed(&answer{Dialect: &Dialect{}, names: []string{"X-Role", "X-User"}, Permit: &proxy.Permit{
		Set: http.Header{"X-User": {"john"}}, Remove: []string{"X_user"}, Response: http.Header{"Set-Cookie": {"a=b", "c=d"}},
	}})
	ok, err := message(b, 3)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[protowire.Number][]string{}
	each(ok, func(number protowire.Number, value []byte) error {
		texts[number] = append(texts[number], string(value))
		return nil
	})
	removed := reflect.DeepEqual(texts[5], []string{"x-role", "x_user"})
	if len(texts[2]) != 1 || !strings.Contains(texts[2][0], "x-user") || len(texts[6]) != 2 || !removed {
		t.Errorf("the response is %q", texts)
	}
	if code, err := field(b, 1); err != nil || len(code) != 0 {
		t.Errorf("the status is %q, %v, expected that of OK", code, err)
	}
	denied := encodeDenied(&captured{header: http.Header{"Location": {"/login"}}, status: 302})
	if code, err := field(denied, 1); err != nil || len(code) == 0 {
		t.Errorf("the status of a refusal is %q, %v", code, err)
	}
	if ok, err := optional(denied, 3); err != nil || ok != nil {
		t.Errorf("a refusal has the response of a request that may pass: %q", ok)
	}
}

// FuzzCheckRequest checks that no bytes panic, and that what is decoded has an address and a path.
func FuzzCheckRequest(f *testing.F) {
	f.Add(checkRequestOf(sourceParts, requestParts))
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := decodeCheckRequest(b)
		if err != nil {
			return
		}
		for name := range q.header {
			if strings.HasPrefix(name, ":") {
				t.Errorf("the header has %q", name)
			}
		}
	})
}
