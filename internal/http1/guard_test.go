package http1

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// refused are responses that the guard refuses, by the reason.
var refused = map[string]string{
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":          "Content-Length and Transfer-Encoding",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n":          "Content-Length and Transfer-Encoding",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok\n":                        "Content-Lengths differ",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 02\r\n\r\nok":                         "Content-Lengths differ",
	"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok":                                                 "Content-Length is empty",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n":                         "Transfer-Encoding isn't chunked",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok":                                     "Transfer-Encoding isn't chunked",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n":                           "Transfer-Encoding isn't chunked",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": "Transfer-Encoding isn't chunked",
	"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                               "isn't HTTP/1.1",
	"HTTP/1.1 200 OK\r\nA: b\r\n Content-Length: 2\r\n\r\nok":                                      "continues the one before",
	"HTTP/1.1 200 OK\r\n\tA: b\r\n\r\n":                                                            "continues the one before",
	"HTTP/1.1 200 OK\r\nA: b\rContent-Length: 2\r\n\r\nok":                                         "CR without LF",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\r\n\r\nok":                                             "CR without LF",
	"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok":                                              "space before a colon",
	"HTTP/1.1 200 OK\r\nno field\r\n\r\n":                                                          "is no field",
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n":                "its status is 101",
	"HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n" + ok:              "Content-Lengths differ",
	"HTTP/1.1 \r\n\r\n": "no status from 100",
	"HTTP/1.1 +00 OK\r\nContent-Length: 2\r\n\r\nok": "no status from 100",
	"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok": "no status from 100",
}

// TestRefusedHeaders sends each response whole and byte by byte. The request fails with the reason, and its connection isn't used again.
func TestRefusedHeaders(t *testing.T) {
	for answer, reason := range refused {
		s := serve(t, answering(answer))
		client := s.client(t, nil)
		for n := range int32(2) {
			_, _, err := get(t, client)
			if !errors.Is(err, errAmbiguous) || !strings.Contains(err.Error(), reason) || s.connections.Load() != n+1 {
				t.Errorf("%q: %v, %d connections", answer, err, s.connections.Load())
			}
		}
		g := headerGuard{source: iotest.OneByteReader(strings.NewReader(answer)), limit: 1000}
		if _, err := io.ReadAll(&g); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q, byte by byte: %v", answer, err)
		}
	}
}

// TestGuardLeavesBodiesAlone checks that what would be refused in a header passes in a body.
func TestGuardLeavesBodiesAlone(t *testing.T) {
	body := "\r\n folded\r\nContent-Length : 1\r\rHTTP/1.1 101 x\r\n\r\n"
	for _, source := range []io.Reader{strings.NewReader(ok + body), iotest.OneByteReader(strings.NewReader(ok + body))} {
		g := headerGuard{source: source, limit: 1000}
		if got, err := io.ReadAll(&g); string(got) != ok+body || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestHeaderLimit bounds the bytes of a header, in many fields or in one.
func TestHeaderLimit(t *testing.T) {
	for _, header := range []string{strings.Repeat("A: b\r\n", 400), "A: " + strings.Repeat("b", 2400) + "\r\n"} {
		s := serve(t, answering("HTTP/1.1 200 OK\r\n"+header+"Content-Length: 2\r\n\r\nok"))
		if _, body, err := get(t, s.client(t, func(s *Settings) { s.MaxHeader = 3000 })); body != "ok" || err != nil {
			t.Errorf("below the limit: %q, %v", body, err)
		}
		if _, _, err := get(t, s.client(t, func(s *Settings) { s.MaxHeader = 2000 })); !errors.Is(err, errTooMuch) {
			t.Errorf("above the limit: %v", err)
		}
	}
}

// A result is what a client makes of a response.
type result struct {
	status  int
	header  string
	body    string
	trailer string
	failed  bool
}

func resultOf(res *http.Response, err error) result {
	if err != nil {
		return result{failed: true}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return result{failed: true}
	}
	var header, trailer bytes.Buffer
	res.Header.Write(&header)
	res.Trailer.Write(&trailer)
	return result{res.StatusCode, header.String(), string(body), trailer.String(), false}
}

// FuzzResponses compares the client with http.Transport: of any bytes of a server both make the same response, or the client refuses them.
func FuzzResponses(f *testing.F) {
	for answer := range refused {
		f.Add([]byte(answer), false)
	}
	for _, answer := range []string{
		ok, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nuntil the end", "HTTP/1.1 100 Continue\r\n\r\n" + ok,
		"HTTP/1.1 200 OK\r\nTrailer: A\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "HTTP/1.1 200\r\nContent-Length: 2, 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		f.Add([]byte(answer), false)
		f.Add([]byte(answer), true)
	}
	f.Fuzz(func(t *testing.T, answer []byte, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		s := serve(t, func(_ int, c net.Conn) {
			c.SetDeadline(time.Now().Add(5 * time.Second))
			buffer := make([]byte, 1000)
			c.Read(buffer)
			c.Write(answer)
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
		})
		theirs := &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10}
		r := request(t.Context(), method, nil)
		r.URL.Host = s.Addr().String()
		r.Header.Set("User-Agent", "x")
		want := resultOf(theirs.RoundTrip(r.Clone(t.Context())))
		res, err := s.client(t, func(s *Settings) { s.MaxIdle = 0 }).RoundTrip(r)
		got := resultOf(res, err)
		if got != want && !(got.failed && (errors.Is(err, errAmbiguous) || errors.Is(err, errTooMuch))) {
			t.Errorf("%q: got %+v (%v), http.Transport has %+v", answer, got, err, want)
		}
	})
}
