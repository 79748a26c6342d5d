package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
)

const answerSize = 1 << 10 // of the response body, in bytes

var upstreamAnswer = []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
	answerSize, strings.Repeat("x", answerSize)))

// serveUpstream responds to every request, which must have no body, with 1 KiB, until the listener is closed. It is faster than
// an http.Server, so that the proxy and not the upstream is the bottleneck.
func serveUpstream(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go answerAll(conn)
	}
}

// answerAll serves a connection.
func answerAll(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 16<<10)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(line) > 2 {
			continue // the request line or a header
		}
		if _, err := conn.Write(upstreamAnswer); err != nil {
			return
		}
	}
}
