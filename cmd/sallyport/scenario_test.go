package main

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/freeport"
	"sallyport/internal/provider"
)

// words are what a scenario is written in, besides testscript's own (env, exec, stdout, cmp, ...):
//
//	gate [FILE]                 start sallyport run -c FILE; $ISSUER, $OTHER_ISSUER, $UPSTREAM, $GATE, $ADMIN stand in it as ${env:...};
//	                            without FILE it has $SALLYPORT_... only
//	reload FILE                 copy FILE over the running one, SIGHUP, and wait until the log says what became of it
//	terminate                   SIGTERM, and wait for the end; the status must be 0
//	start                       start it again, as it was
//	request METHOD PATH [NAME: VALUE]...   ask the gate, with the cookies so far and without following redirects
//	browser PATH                the same as a person's browser: a GET for a page
//	login USER PATH             go where a browser would, through the provider's form, to the end
//	status CODE                 of the last answer
//	header NAME REGEX           of the last answer; "! header NAME" says that there is none
//	body REGEX                  of the last answer
//	received LINE-REGEX         what the upstream got last; "! received" with nothing says that it got nothing since the last request
//	token NAME [USER] [CLAIM=JSON]... [-typ X] [-header NAME=JSON] [-alg X] [-key stranger|public|SECRET] [-issuer other] [-id]
//	                            mint a token into $NAME
//	issuer down|up|rotate|asked ENDPOINT N
//	lifetime DURATION           of access tokens from now on
//	log REGEX                   the gate's log says so; "! log" that it doesn't
//	forget                      empty the cookie jar
//	callback CODE|NAME=VALUE    answer the authorization request of the last redirect with this code or parameter
//	raw TARGET [NAME: VALUE]... the same as request GET, but the request target is sent byte for byte (\x00 is a NUL)
//	stall GATE|ADMIN METHOD PATH [NAME: VALUE]...   send a form of 1000 bytes, but stop after 5; the answer and then the end must come
//	await CODE PATH [NAME: VALUE]...   ask until the status is that
//	post PATH TYPE BODY [NAME: VALUE]...   POST a body of a content type
//	send METHOD PATH TYPE BODY [NAME: VALUE]...   the same by another method
//	grant NAME FIELD CLIENT KEY=VALUE...   ask the provider's token endpoint as a client of the scene, and put a field of the answer into $NAME
//	capture NAME REGEX          put the first group of what matches in the last answer's header or body into $NAME
//	explained                   sallyport explain gives the reason that the log has for the last answer
//	admin METHOD PATH [NAME: VALUE]...   ask the admin listener
//	issuer sent ENDPOINT REGEX  what the provider was sent last, "! issuer sent" what not; issuer break|slow|mend ENDPOINT; issuer revoke TOKEN|expire TOKEN|revoked TOKEN
//	issuer replace              new keys under the old names
//	issuer rotate-signing       the same as rotate, at the moment when it signs the next ID token; the old key stays published
//	issuer keys NAME=JSON...    each published key has this member from now on; null removes it
//	issuer jwt NAME=JSON        the header of each JWT that it signs from now on has this parameter; null removes it
//	issuer says ENDPOINT NAME=JSON...   its answers have these members from now on; null removes one
//	issuer bom ENDPOINT         its answers begin with a byte order mark from now on
//	issuer id NAME=JSON...      ID tokens from now on have these claims, null removes one; issuer userinfo NAME=JSON...: the userinfo answers have these
//	secure                      the provider is another from now on, reached by https: $CA names its authority's certificate, $CERT and $KEY
//	                            client certified's, $MTLS where it asks for certificates
//	proxy start|asked N|sent REGEX   an HTTP proxy at $PROXY; how often it was asked, and what it was sent
//	redis start|tls [ARGUMENT]...    a Redis at $REDIS_PORT and $REDIS_SOCKET; tls needs secure, and its certificate is redis.internal's
//	redis keys PATTERN N [DATABASE]|pause DURATION|stop   what it holds; it answers nobody for a while; it ends
//	cookie NAME REGEX           put the jar's cookie whose name matches into $NAME, as a browser sends it
//	late METHOD PATH [NAME: VALUE]...   ask the gate without the jar, and go on when the upstream has the request
//	arrives                     the upstream answers it, and that is the last answer
//	redis restart               the one that has ended, on its port
var words = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"gate":      on((*scene).gate),
	"reload":    on((*scene).reload),
	"terminate": on((*scene).terminate),
	"start":     on((*scene).startAgain),
	"request":   on((*scene).request),
	"browser":   on((*scene).browser),
	"login":     on((*scene).login),
	"status":    on((*scene).status),
	"header":    on((*scene).header),
	"body":      on((*scene).body),
	"received":  on((*scene).received),
	"token":     on((*scene).token),
	"issuer":    on((*scene).issuer),
	"lifetime":  on((*scene).lifetime),
	"log":       on((*scene).log),
	"forget":    on((*scene).forget),
	"callback":  on((*scene).callback),
	"raw":       on((*scene).raw),
	"stall":     on((*scene).stall),
	"await":     on((*scene).awaitStatus),
	"post":      on((*scene).post),
	"send":      on((*scene).send),
	"grant":     on((*scene).grant),
	"capture":   on((*scene).capture),
	"admin":     on((*scene).admin),
	"cookie":    on((*scene).cookie),
	"late":      on((*scene).late),
	"arrives":   on((*scene).arrives),

	"explained": on((*scene).explained),
	"secure":    on((*scene).secure),
	"proxy":     on((*scene).proxy),
	"redis":     on((*scene).redis),
}

// A scene is what one scenario plays in: two providers, an upstream that remembers, the gate, and a client.
type scene struct {
	ts       *testscript.TestScript
	provider *provider.Provider
	other    *provider.Provider
	upstream *httptest.Server
	client   *http.Client
	file     string
	process  *exec.Cmd
	ended    <-chan struct{} // closed when the process has ended
	output   *lockedBuffer

	answer     *http.Response
	answerBody string
	lastState  string // of the last authorization request

	roots  *x509.CertPool // of a secure provider
	via    *forwardProxy
	server *redisServer

	answers <-chan lateAnswer

	mu        sync.Mutex
	got       string // the upstream's last request
	heldPath  string // of a late request, which the upstream answers when held is closed
	held      chan struct{}
	has       chan struct{} // closed when the upstream has it
	exchanges int           // that token_exchange_endpoint has made
}

type sceneKey struct{}

func on(f func(*scene, bool, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		s := ts.Value(sceneKey{}).(*scene)
		s.ts = ts
		f(s, neg, args)
	}
}

// deferring lets provider.Start end with the scenario.
type deferring struct {
	testing.TB
	env *testscript.Env
}

func (d deferring) Cleanup(f func()) { d.env.Defer(f) }
func (d deferring) Helper()          {}
func (d deferring) Fatalf(format string, args ...any) {
	d.env.T().Fatal(fmt.Sprintf(format, args...))
}
func (d deferring) Errorf(format string, args ...any) { d.Fatalf(format, args...) }

func setUp(env *testscript.Env) error {
	s := &scene{output: &lockedBuffer{}}
	address := func() string { return fmt.Sprintf("127.0.0.1:%d", freeport.Port()) }
	gate, admin := address(), address()
	config := providerConfig(gate)
	s.other = provider.Start(deferring{env: env}, config)
	config.TrustedIssuers, config.ExchangeAudiences = []*provider.Provider{s.other}, []string{"api"}
	s.provider = provider.Start(deferring{env: env}, config)
	s.upstream = httptest.NewServer(http.HandlerFunc(s.serveUpstream))
	s.forget(false, nil)
	env.Defer(s.upstream.Close)
	env.Defer(s.kill)
	env.Values[sceneKey{}] = s
	env.Vars = append(env.Vars, "ISSUER="+s.provider.URL, "OTHER_ISSUER="+s.other.URL, "UPSTREAM="+s.upstream.URL, "GATE="+gate, "ADMIN="+admin,
		"SECRET=0123456789abcdef0123456789abcdef")
	return nil
}

func (s *scene) serveUpstream(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\nHost: %s\n", r.Method, r.RequestURI, r.Host)
	r.Header.Write(&b)
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	b.Write(body)
	s.hold(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/exchange" { // token_exchange_endpoint
		s.exchanges++
		fmt.Fprintf(w, "exchanged.%.2s.%d", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), s.exchanges)
		return
	}
	s.got = strings.ReplaceAll(b.String(), "\r\n", "\n")
	io.WriteString(w, "the upstream's page\n")
}

// await waits up to 10 s for a condition.
func (s *scene) await(what string, holds func() bool) {
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.ts.Fatalf("waited in vain for %s; the log:\n%s", what, s.output)
		}
	}
}

func (s *scene) match(text, pattern, what string) {
	expression, err := regexp.Compile("(?m)" + pattern)
	s.ts.Check(err)
	if !expression.MatchString(text) {
		s.ts.Fatalf("%s: %q doesn't match %s", what, text, pattern)
	}
}

// A lockedBuffer may be written and read at once.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
