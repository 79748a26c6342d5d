package http1

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestNoAnswerOfAnother sends many requests at once to a server that cuts connections at random, or sends an answer too many. Each
// response is the request's own, or an error. No goroutine remains.
func TestNoAnswerOfAnother(t *testing.T) {
	before := runtime.NumGoroutine()
	s := serve(t, func(_ int, c net.Conn) {
		in := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(r.Body)
			if !misbehave(c, r.URL.Query().Get("id")+string(body)) {
				return
			}
		}
	})
	client := s.client(t, func(s *Settings) { s.MaxIdle, s.HeaderTimeout = 8, 2*time.Second })
	good := 0
	var mu sync.Mutex
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := range 200 {
				id := fmt.Sprintf("%d-%d", worker, n)
				got, err := ask(t, client, id, n%3 == 0)
				if err == nil && got != id {
					t.Errorf("%s got the answer %q", id, got)
				}
				if err == nil {
					mu.Lock()
					good++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d of 1600 requests were answered, over %d connections", good, s.connections.Load())
	if good < 800 {
		t.Errorf("only %d of 1600 requests were answered", good)
	}
	client.Close()
	s.Close()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before and %d after", before, runtime.NumGoroutine())
		}
	}
}

// ask sends a request with an ID in its URL, the last part of it in the body if post is true, and returns the body of the response.
func ask(t *testing.T, client *Client, id string, post bool) (string, error) {
	r := request(t.Context(), "GET", nil)
	r.URL.RawQuery = "id=" + id
	if post {
		r = request(t.Context(), "POST", strings.NewReader(id[1:]))
		r.URL.RawQuery = "id=" + id[:1]
	}
	res, err := client.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	return string(got), err
}

// misbehave answers a request in one of many ways, and reports whether the connection goes on.
func misbehave(c net.Conn, id string) bool {
	whole := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(id), id)
	chunked := fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(id), id)
	const forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
	switch rand.IntN(20) {
	case 0: // no answer
		return false
	case 1: // a cut in the header, or in the body
		io.WriteString(c, whole[:rand.IntN(len(whole))])
		return false
	case 2: // an answer too many
		io.WriteString(c, whole+forged)
	case 3: // an end that isn't announced
		io.WriteString(c, whole)
		return false
	case 5, 6, 7:
		io.WriteString(c, chunked)
	case 8:
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n"+whole)
	default:
		io.WriteString(c, whole)
	}
	return true
}
