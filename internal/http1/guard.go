package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A headerGuard reads a connection, and checks the header of each response before anyone else sees it. It refuses what two readers could
// understand in different ways, so that the end of a response is never in doubt:
//
//   - Content-Length with Transfer-Encoding, and Content-Lengths that differ (RFC 9112 §6.3)
//   - a Transfer-Encoding that isn't exactly chunked, or that is in a response of HTTP/1.0 (RFC 9112 §6.1)
//   - a line that continues the one before (RFC 9112 §5.2)
//   - CR without LF (RFC 9112 §2.2)
//   - space between a field's name and its colon (RFC 9112 §5.1)
//   - a status below 100 (RFC 9110 §15)
//   - 101 (Switching Protocols): no request of this client asks for it (RFC 9110 §15.2.2)
type headerGuard struct {
	source   io.Reader
	limit    int // bytes of headers that may still come
	received int // bytes since reset

	inBody  bool   // the header of the final response has ended
	started bool   // the status line was read
	partial []byte // the beginning of a line whose end wasn't read yet
	header  headerFacts
}

// headerFacts are what a header says about its own end and that of the body.
type headerFacts struct {
	status   string // three digits
	old      bool   // HTTP/1.0
	length   string // Content-Length
	encoding bool   // Transfer-Encoding: chunked
}

// reset prepares the guard for the next response.
func (g *headerGuard) reset(limit int) {
	*g = headerGuard{source: g.source, limit: limit, partial: g.partial[:0]}
}

func (g *headerGuard) Read(p []byte) (int, error) {
	n, err := g.source.Read(p)
	g.received += n
	if !g.inBody && n > 0 {
		if bad := g.scan(p[:n]); bad != nil {
			return 0, bad
		}
	}
	return n, err
}

// scan checks the lines of a header in data, to the end of the final response's header.
func (g *headerGuard) scan(data []byte) error {
	for len(data) > 0 && !g.inBody {
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			end = len(data)
		}
		if g.limit -= end; g.limit < 0 {
			return errTooMuch
		}
		line := data[:end]
		data = data[end:]
		if len(g.partial) > 0 || line[len(line)-1] != '\n' {
			g.partial = append(g.partial, line...)
			if line[len(line)-1] != '\n' {
				return nil
			}
			line = g.partial
		}
		err := g.line(line)
		g.partial = g.partial[:0]
		if err != nil {
			return err
		}
	}
	return nil
}

// line checks a line, which ends with LF.
func (g *headerGuard) line(line []byte) error {
	line = bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
	switch {
	case bytes.IndexByte(line, '\r') >= 0:
		return refuse("it has CR without LF")
	case !g.started:
		return g.statusLine(line)
	case len(line) == 0:
		return g.end()
	case line[0] == ' ' || line[0] == '\t':
		return refuse("a line continues the one before")
	}
	return g.field(line)
}

func (g *headerGuard) statusLine(line []byte) error {
	g.started = true
	version, rest, _ := bytes.Cut(line, []byte(" "))
	if len(rest) < 3 || rest[0] < '1' || rest[0] > '9' || !isDigit(rest[1]) || !isDigit(rest[2]) {
		return refuse("its status line has no status from 100")
	}
	g.header = headerFacts{status: string(rest[:3]), old: !bytes.Equal(version, []byte("HTTP/1.1"))}
	if g.header.status == "101" {
		return refuse("its status is 101, which the request didn't ask for")
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (g *headerGuard) field(line []byte) error {
	name, value, found := bytes.Cut(line, []byte(":"))
	switch {
	case !found || len(name) == 0:
		return refuse("a line is no field")
	case name[len(name)-1] == ' ' || name[len(name)-1] == '\t':
		return refuse("there is a space before a colon")
	case bytes.EqualFold(name, []byte("Content-Length")):
		length := string(bytes.Trim(value, " \t"))
		if g.header.length != "" && g.header.length != length {
			return refuse("its Content-Lengths differ")
		}
		if length == "" {
			return refuse("its Content-Length is empty")
		}
		g.header.length = length
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if g.header.encoding || !strings.EqualFold(string(bytes.Trim(value, " \t")), "chunked") {
			return refuse("its Transfer-Encoding isn't chunked")
		}
		g.header.encoding = true
	}
	return nil
}

// end checks what a header says as a whole. Another header follows that of a 1xx response.
func (g *headerGuard) end() error {
	switch h := &g.header; {
	case h.encoding && h.length != "":
		return refuse("it has Content-Length and Transfer-Encoding")
	case h.encoding && h.old:
		return refuse("it has Transfer-Encoding and isn't HTTP/1.1")
	case h.status[0] == '1':
		g.started = false
	default:
		g.inBody = true
	}
	return nil
}

// errAmbiguous is wrapped by the errors about headers that the guard refuses.
var errAmbiguous = errors.New("the upstream's response is refused")

func refuse(why string) error { return fmt.Errorf("%w: %s", errAmbiguous, why) }
