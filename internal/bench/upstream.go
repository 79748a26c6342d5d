package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
)

const answerSize = 1 << 10 // of the upstream's body

var upstreamAnswer = []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
	answerSize, strings.Repeat("x", answerSize)))

// serveUpstream answers every request without a body with the same 1 KiB, until the listener is closed. It is no
// http.Server, so that the proxy's core is the busy one and not this.
func serveUpstream(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go answerAll(conn)
	}
}

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
