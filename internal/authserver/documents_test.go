package authserver

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A documentServer serves metadata documents over TLS, each as a function says.
type documentServer struct {
	*httptest.Server
	handle atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int32
}

func newDocumentServer(t *testing.T) (*documentServer, Fetching) {
	s := &documentServer{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		(*s.handle.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s, Fetching{Roots: roots, Loopback: true}
}

// says makes the server answer with a body and header fields.
func (s *documentServer) says(body string, fields ...string) {
	handle := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		fmt.Fprint(w, body)
	})
	s.handle.Store(&handle)
}

// described returns the document of a client.
func described(id string, more string) string {
	return fmt.Sprintf(`{"client_id":%q,"client_name":"A client","redirect_uris":["https://app.example.com/cb"]%s}`, id, more)
}

func TestDocuments(t *testing.T) {
	s, fetching := newDocumentServer(t)
	id := s.URL + "/client.json"
	for name, c := range map[string]struct {
		body   string
		fields []string
		fails  string // empty: the document is valid
	}{
		"plain":         {body: described(id, "")},
		"none":          {body: described(id, `,"token_endpoint_auth_method":"none"`)},
		"another +json": {body: described(id, ""), fields: []string{"Content-Type", "application/cimd+json; charset=utf-8"}},
		"prefers keys": {body: described(id, `,"token_endpoint_auth_method":"private_key_jwt",`+
			`"token_endpoint_auth_methods_supported":["private_key_jwt","none"]`)},
		"only keys":         {body: described(id, `,"token_endpoint_auth_method":"private_key_jwt"`), fails: "private_key_jwt"},
		"a secret's method": {body: described(id, `,"token_endpoint_auth_method":"client_secret_post"`), fails: "client_secret_post"},
		"a secret":          {body: described(id, `,"client_secret":"x"`), fails: "client_secret"},
		"another client":    {body: described(id+"?x", ""), fails: "client_id"},
		"no redirect URIs":  {body: fmt.Sprintf(`{"client_id":%q}`, id), fails: "redirect_uris"},
		"only scripts":      {body: fmt.Sprintf(`{"client_id":%q,"redirect_uris":["javascript:alert(1)"]}`, id), fails: "redirect_uris"},
		"HTML":              {body: "<html>", fields: []string{"Content-Type", "text/html"}, fails: "text/html"},
		"no JSON":           {body: "<html>", fails: "can't be read"},
		"too long":          {body: described(id, `,"x":"`+strings.Repeat("x", maxDocument)+`"`), fails: "longer"},
		"compressed":        {body: described(id, ""), fields: []string{"Content-Encoding", "gzip"}, fails: "Content-Encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDocuments(time.Now)
			d.reach(fetching)
			s.says(c.body, c.fields...)
			found, err := d.get(t.Context(), id)
			switch {
			case c.fails == "" && (err != nil || found.Name != "A client"):
				t.Errorf("got %+v, %v", found, err)
			case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
				t.Errorf("got %v, expected an error about %s", err, c.fails)
			case c.fails != "" && d.peek(id) != nil:
				t.Error("the error is cached")
			}
		})
	}
}

// A fetch follows no redirect, and takes no answer but 200.
func TestADocumentIsAtItsOwnAddress(t *testing.T) {
	s, fetching := newDocumentServer(t)
	d := newDocuments(time.Now)
	d.reach(fetching)
	id := s.URL + "/client.json"
	for _, status := range []int{301, 302, 307, 404, 500, 203, 206} {
		handle := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.URL.Path == "/client.json" {
				w.Header().Set("Location", s.URL+"/other.json")
				w.WriteHeader(status)
			}
			fmt.Fprint(w, described(id, ""))
		})
		s.handle.Store(&handle)
		before := s.asked.Load()
		if _, err := d.get(t.Context(), id); err == nil || s.asked.Load() != before+1 {
			t.Errorf("%d: got %v after %d requests", status, err, s.asked.Load()-before)
		}
	}
}

// An answer that doesn't end is cut, and many at once are refused.
func TestAnEndlessDocument(t *testing.T) {
	s, fetching := newDocumentServer(t)
	d := newDocuments(time.Now)
	d.reach(fetching)
	started := make(chan struct{}, maxFetches)
	handle := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.(http.Flusher).Flush()
		started <- struct{}{}
		<-r.Context().Done()
	})
	s.handle.Store(&handle)
	errs := make(chan error, maxFetches)
	begin := time.Now()
	for n := range maxFetches {
		go func() {
			_, err := d.get(t.Context(), fmt.Sprintf("%s/%d", s.URL, n))
			errs <- err
		}()
	}
	for range maxFetches {
		<-started
	}
	if _, err := d.get(t.Context(), s.URL+"/one-more"); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("got %v", err)
	}
	for range maxFetches {
		if err := <-errs; err == nil {
			t.Error("a document without an end is taken")
		}
	}
	if took := time.Since(begin); took > 2*documentTimeout {
		t.Errorf("it took %s", took)
	}
}

// The name of a public server may lead to another address whenever it is resolved: the address that is dialled counts.
func TestADocumentIsOnAPublicServer(t *testing.T) {
	s, fetching := newDocumentServer(t)
	s.says(described(s.URL+"/client.json", ""))
	fetching.Loopback = false
	d := newDocuments(time.Now)
	d.reach(fetching)
	_, port, _ := strings.Cut(s.Listener.Addr().String(), ":")
	for _, id := range []string{s.URL + "/client.json", "https://localhost:" + port + "/client.json"} {
		if _, err := d.get(t.Context(), id); err == nil || !strings.Contains(err.Error(), "isn't a public address") {
			t.Errorf("%s: got %v", id, err)
		}
	}
	if s.asked.Load() > 0 {
		t.Error("the server was asked")
	}
	for address, public := range map[string]bool{
		"192.0.0.8": false, "198.51.100.1": false, "10.1.2.3": false, "172.31.0.1": false, "192.168.1.1": false, "100.64.0.1": false,
		"169.254.169.254": false, "0.0.0.0": false, "127.1.2.3": false, "224.0.0.1": false, "255.255.255.255": false, "8.8.8.8": true,
		"::1": false, "::": false, "fe80::1": false, "fd00::1": false, "ff02::1": false, "::ffff:10.0.0.1": false, "::ffff:8.8.8.8": true,
		"2001:db8::1": false, "2002:a00:1::": false, "64:ff9b::a00:1": false, "64:ff9b::808:808": true, "64:ff9b:1::808:808": false,
		"2001::1": false, "2606:4700::1111": true, "fe80::1%eth0": false, "::10.0.0.1": false,
	} {
		host := address
		if strings.Contains(address, ":") {
			host = "[" + address + "]"
		}
		if err := checkAddress(host+":443", false); (err == nil) != public {
			t.Errorf("%s: got %v", address, err)
		}
	}
	if checkAddress("127.0.0.1:443", true) != nil || checkAddress("[::1]:443", true) != nil || checkAddress("10.0.0.1:443", true) == nil {
		t.Error("a gate on a loopback address takes documents of this machine, and of no other one")
	}
}

func TestDocumentAge(t *testing.T) {
	for header, age := range map[string]time.Duration{
		"": defaultDocumentAge, "max-age=300": 5 * time.Minute, "public, max-age=7200": 2 * time.Hour, "max-age=1": minDocumentAge,
		"max-age=99999999": maxDocumentAge, "no-store": minDocumentAge, "max-age=7200, no-cache": minDocumentAge,
		"max-age=x": defaultDocumentAge, "max-age=-5": minDocumentAge,
	} {
		if got := documentAge(http.Header{"Cache-Control": {header}}); got != age {
			t.Errorf("%q: got %s, expected %s", header, got, age)
		}
	}
}

// A document is used until its time is over, and then fetched again.
func TestADocumentIsCached(t *testing.T) {
	s, fetching := newDocumentServer(t)
	id := s.URL + "/client.json"
	s.says(described(id, ""), "Cache-Control", "max-age=600")
	passing := &clock{}
	d := newDocuments(passing.now)
	d.reach(fetching)
	for _, c := range []struct {
		after time.Duration
		asked int32
	}{{0, 1}, {599 * time.Second, 1}, {2 * time.Second, 2}} {
		passing.offset.Add(int64(c.after))
		if _, err := d.get(t.Context(), id); err != nil || s.asked.Load() != c.asked {
			t.Errorf("after %s: got %v, asked %d times, expected %d", c.after, err, s.asked.Load(), c.asked)
		}
	}
}
