package main

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/provider"
)

// words are what a scenario is written in, besides testscript's own (env, exec, stdout, cmp, ...):
//
//	gate FILE                   start sallyport run -c FILE; $ISSUER, $OTHER_ISSUER, $UPSTREAM, $GATE, $ADMIN stand in it as ${env:...}
//	reload FILE                 copy FILE over the running one, SIGHUP, and wait until the log says what became of it
//	stop                        SIGTERM, and wait for the end; the status must be 0
//	start                       start it again, as it was
//	request METHOD PATH [NAME: VALUE]...   ask the gate, with the cookies so far and without following redirects
//	browser PATH                the same as a person's browser: a GET for a page
//	login USER PATH             go where a browser would, through the provider's form, to the end
//	status CODE                 of the last answer
//	header NAME REGEX           of the last answer; "! header NAME" says that there is none
//	body REGEX                  of the last answer
//	received LINE-REGEX         what the upstream got last; "! received" with nothing says that it got nothing since the last request
//	token NAME [USER] [CLAIM=JSON]... [-typ X] [-alg X] [-key stranger|public] [-issuer other] [-id]    mint a token into $NAME
//	issuer down|up|rotate|asked ENDPOINT N
//	lifetime DURATION           of access tokens from now on
//	log REGEX                   the gate's log says so; "! log" that it doesn't
//	forget                      empty the cookie jar
//	callback CODE|NAME=VALUE    answer the authorization request of the last redirect with this code or parameter
//	raw TARGET [NAME: VALUE]... the same as request GET, but the request target is sent byte for byte (\x00 is a NUL)
//	await CODE PATH [NAME: VALUE]...   ask until the status is that
//	post PATH TYPE BODY [NAME: VALUE]...   POST a body of a content type
//	grant NAME FIELD CLIENT KEY=VALUE...   ask the provider's token endpoint as a client of the scene, and put a field of the answer into $NAME
//	capture NAME REGEX          put the first group of what matches in the last answer's header or body into $NAME
//	explained                   sallyport explain gives the reason that the log has for the last answer
//	admin METHOD PATH [NAME: VALUE]...   ask the admin listener
//	issuer sent ENDPOINT REGEX  what the provider was sent last; issuer break|slow|mend ENDPOINT; issuer revoke TOKEN|expire TOKEN|revoked TOKEN
//	issuer id NAME=JSON         ID tokens from now on have this claim
//	secure                      the provider is another from now on, reached by https: $CA names its authority's certificate, $CERT and $KEY
//	                            client certified's, $MTLS where it asks for certificates
//	proxy start|asked N|sent REGEX   an HTTP proxy at $PROXY; how often it was asked, and what it was sent
//	redis start|tls [ARGUMENT]...    a Redis at $REDIS_PORT and $REDIS_SOCKET; tls needs secure, and its certificate is redis.internal's
//	redis keys PATTERN N [DATABASE]|pause DURATION|stop   what it holds; it answers nobody for a while; it ends
var words = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"gate":     on((*scene).gate),
	"reload":   on((*scene).reload),
	"stop":     on((*scene).stop),
	"start":    on((*scene).startAgain),
	"request":  on((*scene).request),
	"browser":  on((*scene).browser),
	"login":    on((*scene).login),
	"status":   on((*scene).status),
	"header":   on((*scene).header),
	"body":     on((*scene).body),
	"received": on((*scene).received),
	"token":    on((*scene).token),
	"issuer":   on((*scene).issuer),
	"lifetime": on((*scene).lifetime),
	"log":      on((*scene).log),
	"forget":   on((*scene).forget),
	"callback": on((*scene).callback),
	"raw":      on((*scene).raw),
	"await":    on((*scene).awaitStatus),
	"post":     on((*scene).post),
	"grant":    on((*scene).grant),
	"capture":  on((*scene).capture),
	"admin":    on((*scene).admin),

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
	output   *lockedBuffer

	answer     *http.Response
	answerBody string
	lastState  string // of the last authorization request

	roots  *x509.CertPool // of a secure provider
	via    *forwardProxy
	server *redisServer

	mu        sync.Mutex
	got       string // the upstream's last request
	exchanges int    // that token_exchange_endpoint has made
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
	gate, admin := freeAddress(), freeAddress()
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

var handedOut sync.Map // ports

// freeAddress is one that nobody else gets: below the range from which connections take theirs, and never given out twice.
func freeAddress() string {
	for {
		address := fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(18000))
		if _, taken := handedOut.LoadOrStore(address, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
}

func (s *scene) serveUpstream(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.RequestURI)
	r.Header.Write(&b)
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	b.Write(body)
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

func (s *scene) gate(_ bool, args []string) {
	s.file = s.ts.MkAbs(args[0])
	s.startAgain(false, nil)
}

func (s *scene) startAgain(bool, []string) {
	self, err := exec.LookPath("sallyport")
	s.ts.Check(err)
	s.process = exec.Command(self, "run", "-c", s.file)
	s.process.Env = s.environment()
	s.process.Stdout, s.process.Stderr = s.output, s.output
	s.ts.Check(s.process.Start())
	s.await("the gate to be ready", func() bool {
		res, err := http.Get("http://" + s.ts.Getenv("ADMIN") + "/readyz")
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
}

// await waits up to 10 s for a condition.
func (s *scene) await(what string, holds func() bool) {
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.ts.Fatalf("waited in vain for %s; the log:\n%s", what, s.output)
		}
	}
}

func (s *scene) kill() {
	if s.process != nil && s.process.ProcessState == nil {
		s.process.Process.Kill()
		s.process.Wait()
	}
}

func (s *scene) stop(bool, []string) {
	s.ts.Check(s.process.Process.Signal(syscall.SIGTERM))
	if err := s.process.Wait(); err != nil {
		s.ts.Fatalf("the gate ended with %v; the log:\n%s", err, s.output)
	}
}

func (s *scene) reload(_ bool, args []string) {
	b, err := os.ReadFile(s.ts.MkAbs(args[0]))
	s.ts.Check(err)
	s.ts.Check(os.WriteFile(s.file, b, 0o600))
	before := s.reloads()
	s.ts.Check(s.process.Process.Signal(syscall.SIGHUP))
	s.await("a reload", func() bool { return s.reloads() > before })
}

func (s *scene) reloads() int {
	return strings.Count(s.output.String(), `"msg":"reloaded"`) + strings.Count(s.output.String(), `"msg":"reload refused`)
}

func (s *scene) forget(bool, []string) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	s.client = &http.Client{Jar: jar, Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.trust()
}

func (s *scene) request(_ bool, args []string) {
	r, err := http.NewRequest(args[0], "http://"+s.ts.Getenv("GATE")+args[1], nil)
	s.ts.Check(err)
	for _, line := range args[2:] {
		name, value, _ := strings.Cut(line, ":")
		if name == "Host" {
			r.Host = strings.TrimSpace(value)
			continue
		}
		r.Header[name] = append(r.Header[name], strings.TrimSpace(value)) // as it is spelled
	}
	s.ask(r)
}

func (s *scene) browser(_ bool, args []string) {
	s.request(false, append([]string{"GET", args[0], "Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, args[1:]...))
}

func (s *scene) callback(_ bool, args []string) {
	asked, err := url.Parse(s.answer.Header.Get("Location"))
	s.ts.Check(err)
	if s.lastState == "" || asked.Query().Has("state") {
		s.lastState = asked.Query().Get("state")
	}
	q := url.Values{"state": {s.lastState}, "iss": {s.ts.Getenv("ISSUER")}, "code": {"x"}}
	if name, value, found := strings.Cut(args[0], "="); found {
		q.Set(name, value)
		if value == "" {
			q.Del(name)
		}
	}
	s.browser(false, []string{"/oauth2/callback?" + q.Encode()})
}

func (s *scene) raw(_ bool, args []string) {
	s.mu.Lock()
	s.got = ""
	s.mu.Unlock()
	c, err := net.Dial("tcp", s.ts.Getenv("GATE"))
	s.ts.Check(err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	target := strings.ReplaceAll(args[0], `\x00`, "\x00")
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n%s\r\n", target, strings.Join(append(args[1:], ""), "\r\n"))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	s.ts.Check(err)
	res.Request = &http.Request{Method: "GET", URL: &url.URL{Path: args[0]}}
	s.keep(res)
}

func (s *scene) awaitStatus(_ bool, args []string) {
	s.await("status "+args[0], func() bool {
		s.request(false, append([]string{"GET"}, args[1:]...))
		return fmt.Sprint(s.answer.StatusCode) == args[0]
	})
}

func (s *scene) ask(r *http.Request) {
	s.mu.Lock()
	s.got = ""
	s.mu.Unlock()
	res, err := s.client.Do(r)
	s.ts.Check(err)
	s.keep(res)
}

func (s *scene) keep(res *http.Response) {
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.ts.Check(err)
	s.answer, s.answerBody = res, string(body)
}

func (s *scene) login(_ bool, args []string) {
	following := *s.client
	following.CheckRedirect = nil
	address := args[1]
	if strings.HasPrefix(address, "/") {
		address = "http://" + s.ts.Getenv("GATE") + address
	}
	issuer := s.provider
	if len(args) > 2 && args[2] == "other" {
		issuer = s.other
	}
	res, err := issuer.LogIn(&following, address, args[0], "doe")
	s.ts.Check(err)
	s.keep(res)
}

func (s *scene) status(_ bool, args []string) {
	if got := fmt.Sprint(s.answer.StatusCode); got != args[0] {
		s.ts.Fatalf("%s %s: status %s, expected %s\n%v\n%s", s.answer.Request.Method, s.answer.Request.URL, got, args[0], s.answer.Header, s.answerBody)
	}
}

func (s *scene) header(neg bool, args []string) {
	values := s.answer.Header.Values(args[0])
	if neg {
		if len(values) > 0 {
			s.ts.Fatalf("%s: %q, expected none", args[0], values)
		}
		return
	}
	s.match(strings.Join(values, "\n"), args[1], args[0])
}

func (s *scene) match(text, pattern, what string) {
	expression, err := regexp.Compile("(?m)" + pattern)
	s.ts.Check(err)
	if !expression.MatchString(text) {
		s.ts.Fatalf("%s: %q doesn't match %s", what, text, pattern)
	}
}

func (s *scene) body(neg bool, args []string) {
	if neg {
		if strings.Contains(s.answerBody, args[0]) {
			s.ts.Fatalf("the body holds %s: %s", args[0], s.answerBody)
		}
		return
	}
	s.match(s.answerBody, args[0], "the body")
}

func (s *scene) received(neg bool, args []string) {
	s.mu.Lock()
	got := s.got
	s.mu.Unlock()
	switch {
	case neg && len(args) == 0 && got != "":
		s.ts.Fatalf("the upstream was asked:\n%s", got)
	case neg && len(args) > 0 && regexp.MustCompile("(?im)"+args[0]).MatchString(got):
		s.ts.Fatalf("the upstream got what it should not:\n%s", got)
	case !neg:
		s.match(got, args[0], "what the upstream got")
	}
}

func (s *scene) issuer(_ bool, args []string) {
	p := s.provider
	switch args[0] {
	case "down":
		p.Close()
	case "up":
		p.Reopen()
	case "rotate":
		p.RotateKeys(false)
	case "asked":
		if got := fmt.Sprint(p.Requests(provider.Endpoint(args[1]))); got != args[2] {
			s.ts.Fatalf("%s was asked %s times, expected %s", args[1], got, args[2])
		}
	case "refreshed":
		if got := fmt.Sprint(p.RefreshCount()); got != args[1] {
			s.ts.Fatalf("tokens were refreshed %s times, expected %s", got, args[1])
		}
	case "revoke":
		if len(args) > 1 {
			p.Revoke(args[1])
			return
		}
		p.RevokeAll()
	default:
		s.issuerMore(args)
	}
}

func (s *scene) lifetime(_ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	s.ts.Check(err)
	s.provider.SetAccessTokenLifetime(d)
}

func (s *scene) log(neg bool, args []string) {
	if neg {
		if strings.Contains(s.output.String(), args[0]) {
			s.ts.Fatalf("the log holds %s:\n%s", args[0], s.output)
		}
		return
	}
	expression := regexp.MustCompile(args[0])
	s.await("the log to say "+args[0], func() bool { return expression.MatchString(s.output.String()) })
}

func (s *scene) token(_ bool, args []string) {
	name, user := args[0], ""
	claims, p, id := map[string]any{}, s.provider, false
	var options []provider.SignOption
	for i := 1; i < len(args); i++ {
		switch key, value, _ := strings.Cut(args[i], "="); {
		case args[i] == "-id":
			id = true
		case strings.HasPrefix(args[i], "-"):
			i++
			options, p = s.option(args[i-1], args[i], options, p)
		case i == 1:
			user = args[i]
		default:
			claims[key] = claimValue(value)
		}
	}
	s.ts.Setenv(name, mint(p, user, claims, id, options))
}

func (s *scene) option(name, value string, options []provider.SignOption, p *provider.Provider) ([]provider.SignOption, *provider.Provider) {
	switch name {
	case "-typ", "-kid":
		return append(options, provider.WithHeader(name[1:], value)), p
	case "-alg":
		return append(options, provider.WithAlg(value)), p
	case "-key":
		if value == "public" {
			return append(options, provider.WithKey(p.PublicKeyPEM())), p
		}
		return append(options, provider.WithKey(strangersKey())), p
	case "-issuer":
		return options, s.other
	}
	s.ts.Fatalf("token: %s isn't known", name)
	return nil, nil
}

// mint makes a token: the provider's own, or with options one that is signed as they say.
func mint(p *provider.Provider, user string, claims map[string]any, id bool, options []provider.SignOption) string {
	token := p.AccessToken(user, "app", claims)
	if id {
		token = p.IDToken(user, "app", claims)
	}
	if len(options) == 0 {
		return token
	}
	return p.SignPayload(payload(token), options...)
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
