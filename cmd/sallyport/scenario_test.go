package main

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/dpop/dpoptest"
	"sallyport/internal/freeport"
	"sallyport/internal/provider"
	"sallyport/internal/testlog"
)

// commands are the commands of scenarios, besides those of testscript (env, exec, stdout, cmp, ...). In their files, ${env:NAME}
// may be $ISSUER, $OTHER_ISSUER, $UPSTREAM, $GATE, $ADMIN and other variables. "!" before a command negates it.
//
// The gate:
//
//	gate [FILE]                 start sallyport run -c FILE; without FILE the configuration is $SALLYPORT_...
//	reload FILE                 replace the gate's file by FILE, send SIGHUP, and wait until the log reports the result
//	terminate                   send SIGTERM and wait for the end; the exit status must be 0
//	start                       start the gate again
//	log REGEX                   wait until the gate's log matches; "! log TEXT": the log doesn't contain TEXT
//	explained                   sallyport explain gives the same reason for the last request as the log
//
// Requests. They send the cookies of the jar and don't follow redirects; the last response is that of the last request:
//
//	request METHOD PATH [NAME: VALUE]...             send a request to the gate
//	browser PATH [NAME: VALUE]...                    send a browser's navigation request
//	post PATH TYPE BODY [NAME: VALUE]...             POST a body of a content type
//	send METHOD PATH TYPE BODY [NAME: VALUE]...      send a body of a content type
//	admin METHOD PATH [NAME: VALUE]...               send a request to the admin listener
//	await CODE PATH [NAME: VALUE]...                 repeat a GET until the status is CODE
//	raw TARGET [NAME: VALUE]...                      send a GET whose request target is TARGET byte by byte (\x00 is a NUL)
//	stall GATE|ADMIN METHOD PATH [NAME: VALUE]...    send 5 of 1000 bytes of a form; the gate must respond and close the connection
//	late METHOD PATH [NAME: VALUE]...                send a request without the jar; continue when the upstream has received it
//	arrives                                          let the upstream respond to the request of late, and wait for the response
//	login USER PATH [other]                          log in through the form of the provider, or the other one, following redirects
//	follow                                           open the Location of the last response, following redirects
//	callback CODE|NAME=VALUE                         send the authorization response to the last authorization request, changed
//	forget                                           empty the cookie jar
//	cookie NAME REGEX                                set $NAME to the cookie of the jar whose name matches, as NAME=VALUE
//
// The last response and the upstream:
//
//	status CODE                 check the status
//	header NAME REGEX           check a header field; "! header NAME": the response doesn't have the field
//	body REGEX                  check the body; "! body TEXT": the body doesn't contain TEXT
//	capture NAME REGEX          set $NAME to the first group of the match in the header or the body
//	received REGEX              check the last request that the upstream received; "! received": it received none
//
// The provider. ENDPOINT is a path such as /token; its settings hold until the scenario ends or changes them:
//
//	token NAME [USER] [CLAIM=JSON]... [-typ X] [-kid X] [-header NAME=JSON] [-alg X] [-key stranger|public|SECRET] [-issuer other] [-id]
//	                                       set $NAME to a new access token, or with -id to an ID token
//	grant NAME FIELD CLIENT KEY=VALUE...   send a token request of CLIENT, and set $NAME to a member of the response
//	lifetime DURATION                      set the lifetime of access tokens
//	secure                                 use HTTPS: $CA is the file of the CA, $CERT and $KEY those of the client certified, and $MTLS
//	                                       the URL that requests client certificates
//	personality NAME                       answer as a product does: see products
//	documented FOLDER ORIGIN...            start a provider that answers what the files in a folder say: see documented
//	refreshed N                            check how many refreshes the documented provider has seen
//	signed NAME FILE                       set $NAME to a JWT of the documented provider with the claims in FILE
//	page FILE PAGE N                       write the Nth configuration of a page of configs/providers to FILE, with the scenario's addresses
//	issuer down|up                         close or reopen the provider's listener
//	issuer rotate|replace                  create new signing keys, with new kids or with the old ones
//	issuer rotate-signing                  create new signing keys when the next ID token is signed; the old ones stay published
//	issuer asked ENDPOINT N                check the number of requests to an endpoint
//	issuer refreshed N                     check the number of refresh requests
//	issuer sent ENDPOINT REGEX             check the parameters and the header of the last request; "! issuer sent": no match
//	issuer nonce ENDPOINT NONCE            require DPoP proofs at an endpoint to have a nonce
//	issuer garbage|huge|slow ENDPOINT      respond with an HTML page, with 100 MB, or after 30 s
//	issuer mend ENDPOINT                   end garbage, huge and slow
//	issuer revoke [TOKEN]                  revoke a token, or everything
//	issuer logout USER [CODE]...           end the user's sessions; the statuses of the responses to the logout tokens must be CODE...
//	issuer expire|revoked TOKEN            make a token expire; check that a token is revoked
//	issuer says ENDPOINT NAME=JSON...      set members of the responses; null removes a member
//	issuer bom ENDPOINT                    begin responses with a byte order mark
//	issuer userinfo NAME=JSON...           set claims of userinfo responses
//	issuer id NAME=JSON...                 set claims of ID tokens; null removes a claim
//	issuer front NAME=JSON...              set claims of the ID tokens of authorization responses; null removes a claim
//	issuer jwt NAME=JSON...                set header parameters of JWTs; null removes a parameter
//	issuer keys NAME=JSON...               set members of each published key; null removes a member
//
// Proofs of possession:
//
//	proofkey NAME                                            create a key, and set $NAME to its thumbprint
//	proof NAME KEY METHOD PATH|URL TOKEN [CLAIM=JSON]... [-HEADER=JSON]...
//	                                                         set $NAME to a DPoP proof by the key; null removes a member
//	certificate NAME                                         create the certificate NAME.pem: $NAME is its DER in base64, and $NAME_X5T
//	                                                         its thumbprint
//
// Other servers:
//
//	proxy start                      start an HTTP proxy at $PROXY
//	proxy asked N|sent REGEX         check the number of its requests, or their text
//	redis start|tls [ARGUMENT]...    start Redis at $REDIS_PORT and $REDIS_SOCKET; tls needs secure, its host name is redis.internal
//	redis stop|restart               kill Redis, or start it again on its port
//	redis keys PATTERN N [DATABASE]  check the number of keys
//	redis pause DURATION             block all commands for a while
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"gate":      on((*scene).gate),
	"reload":    on((*scene).reload),
	"terminate": on((*scene).terminate),
	"start":     on((*scene).start),
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

	"proofkey":    on((*scene).proofKey),
	"proof":       on((*scene).proof),
	"certificate": on((*scene).certificate),

	"follow":      on((*scene).follow),
	"personality": on((*scene).become),
	"page":        on((*scene).page),
	"documented":  on((*scene).document),
	"signed":      on((*scene).signed),
	"refreshed":   on((*scene).refreshed),

	"explained": on((*scene).explained),
	"secure":    on((*scene).secure),
	"proxy":     on((*scene).proxy),
	"redis":     on((*scene).redis),
}

// A scene is the state of a running scenario: two providers, an upstream that records requests, the gate and a client.
type scene struct {
	ts       *testscript.TestScript
	provider *provider.Provider
	other    *provider.Provider
	upstream *httptest.Server
	client   *http.Client
	file     string
	process  *exec.Cmd
	ended    <-chan struct{} // closed when the process has ended
	output   *testlog.Buffer

	answer     *http.Response
	answerBody string
	lastState  string // of the last authorization request
	product    product
	documents  *documented // or nil

	roots  *x509.CertPool // the CA of a secure provider, or nil
	via    *forwardProxy  // or nil
	server *redisServer

	proofKeys map[string]*dpoptest.Key

	answers <-chan lateAnswer

	mu        sync.Mutex
	got       string        // the last request that the upstream received
	heldPath  string        // the path of the request of late
	held      chan struct{} // closed to make the upstream respond to that request
	has       chan struct{} // closed when the upstream has received it
	exchanges int           // number of requests to token_exchange_endpoint
}

type sceneKey struct{}

// on adapts a method of scene to a testscript command.
func on(f func(*scene, bool, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		s := ts.Value(sceneKey{}).(*scene)
		s.ts = ts
		f(s, neg, args)
	}
}

// A setupTB is a testing.TB for provider.Start whose cleanups run at the end of the scenario that env belongs to.
type setupTB struct {
	testing.TB
	env *testscript.Env
}

func (d setupTB) Cleanup(f func()) { d.env.Defer(f) }
func (d setupTB) Helper()          {}
func (d setupTB) Fatalf(format string, args ...any) {
	d.env.T().Fatal(fmt.Sprintf(format, args...))
}
func (d setupTB) Errorf(format string, args ...any) { d.Fatalf(format, args...) }

// setUp starts the providers and the upstream of a scenario.
func setUp(env *testscript.Env) error {
	s := &scene{output: &testlog.Buffer{}}
	address := func() string { return fmt.Sprintf("127.0.0.1:%d", freeport.Port()) }
	gate, admin := address(), address()
	pages, err := filepath.Abs("../../configs/providers")
	if err != nil {
		return err
	}
	config := providerConfig(gate)
	s.other = provider.Start(setupTB{env: env}, config)
	config.TrustedIssuers, config.ExchangeAudiences = []*provider.Provider{s.other}, []string{"api"}
	s.provider = provider.Start(setupTB{env: env}, config)
	s.upstream = httptest.NewServer(http.HandlerFunc(s.serveUpstream))
	s.forget(false, nil)
	env.Defer(s.upstream.Close)
	env.Defer(s.kill)
	env.Values[sceneKey{}] = s
	env.Vars = append(env.Vars, "ISSUER="+s.provider.URL, "OTHER_ISSUER="+s.other.URL, "UPSTREAM="+s.upstream.URL, "GATE="+gate,
		"ADMIN="+admin, "PAGES="+pages,
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

// await waits up to 10 s until holds returns true.
func (s *scene) await(what string, holds func() bool) {
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.ts.Fatalf("timeout waiting for %s; the log:\n%s", what, s.output)
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
