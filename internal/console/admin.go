package console

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"sallyport/internal/attempts"
	"sallyport/internal/auth"
)

// cookieName is the name of the cookie of a login with the admin token. Browsers send a __Host- cookie to the host that set it, and to no
// other one.
const cookieName = "__Host-sallyport_console"

// An AdminConfig says who may use the console of the admin listener.
type AdminConfig struct {
	*Console
	Token    func() string            // admin.token; "" if none is configured
	Loopback func() bool              // the listener has a loopback address
	IsLocal  func(*http.Request) bool // the request comes from this machine
	LoggedIn func(client string, ok bool)
}

// An Admin serves the console of the admin listener, below /console/.
type Admin struct {
	AdminConfig
	logins   *logins
	attempts *attempts.Failed
}

// NewAdmin returns the console of the admin listener.
func NewAdmin(c AdminConfig) *Admin {
	return &Admin{AdminConfig: c, logins: newLogins(c.Now), attempts: attempts.New(c.Now)}
}

// ServeHTTP answers a request for /console/NAME.
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.Token() == "" && !a.Loopback() {
		http.Error(w, "there is no console: the listener can be reached from other machines, so configure admin.token", http.StatusNotFound)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/console/")
	id := cookieOf(r)
	v := a.visitor(r, id)
	switch {
	case name == "login" && a.Token() != "":
		a.login(w, r, id)
	case v == nil:
		a.unknown(w, r)
	case name == "logout" && r.Method == http.MethodPost && v.Logout:
		if a.acceptForm(w, r, v) {
			a.logins.end(id)
			setCookie(w, "", -1)
			redirect(w, "login")
		}
	default:
		a.serve(w, r, name, v)
	}
}

// visitor returns who sends the request, or nil if that person may not read.
func (a *Admin) visitor(r *http.Request, id string) *visitor {
	origins := []string{r.Host}
	switch {
	case a.logins.is(id, a.Token()):
		return &visitor{
			Name: "Logged in with the admin token", MayEnd: true, Logout: true, Form: a.formToken("login", id),
			actor: Actor{Client: r.RemoteAddr}, origins: origins,
		}
	case a.IsLocal(r):
		return &visitor{Name: "Not logged in: you may read", Login: a.Token() != "", origins: origins}
	}
	return nil
}

// unknown answers a request of somebody who may not read.
func (a *Admin) unknown(w http.ResponseWriter, r *http.Request) {
	if a.Token() == "" {
		http.Error(w, "admin.token isn't configured, so only this machine may read the console", http.StatusForbidden)
		return
	}
	if !auth.WantsHTML(r.Header) {
		http.Error(w, "the console needs a login in a browser; programs use the admin API", http.StatusUnauthorized)
		return
	}
	a.ask(w, r, http.StatusUnauthorized, "")
}

// A loginAsk is the data of the login page.
type loginAsk struct {
	Problem string
	Plain   bool // the request came over plain HTTP from another machine
}

// ask shows the login page.
func (a *Admin) ask(w http.ResponseWriter, r *http.Request, status int, problem string) {
	a.show(w, &visitor{}, status, "login", "Log in", loginAsk{problem, isPlain(r)})
}

// isPlain reports whether a browser reached the console over plain HTTP at a name that isn't loopback, where it keeps no Secure cookie. A
// proxy that ends TLS says so in X-Forwarded-Proto; the only effect of a wrong one is on the client that sends it.
func isPlain(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	loopback := host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
	return r.TLS == nil && !loopback && r.Header.Get("X-Forwarded-Proto") != "https"
}

// login shows the login page and takes its form. After a login it is requested once more, which shows whether the browser has kept the
// cookie.
func (a *Admin) login(w http.ResponseWriter, r *http.Request, id string) {
	switch {
	case r.Method == http.MethodPost:
		a.postLogin(w, r)
	case a.logins.is(id, a.Token()):
		redirect(w, "./")
	case r.URL.Query().Has("kept"):
		a.ask(w, r, http.StatusUnauthorized, "Your browser hasn't kept the cookie of the login. It keeps that cookie over https, and at "+
			"http://localhost if it is Chromium or Firefox.")
	default:
		a.ask(w, r, http.StatusOK, "")
	}
}

// postLogin compares the token of the form. Failed attempts are limited.
func (a *Admin) postLogin(w http.ResponseWriter, r *http.Request) {
	if isPlain(r) || !fromOrigin(r, []string{r.Host}) {
		a.ask(w, r, http.StatusForbidden, "The form doesn't come from a page of this console.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		a.ask(w, r, http.StatusBadRequest, "The form can't be read.")
		return
	}
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	attempt, wait := a.attempts.Begin(peer.Addr(), "console")
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
		a.ask(w, r, http.StatusTooManyRequests, "Too many wrong attempts. Please wait "+wait.String()+".")
		return
	}
	token := a.Token()
	ok := token != "" && auth.Secret(token).Is(r.PostForm.Get("token"))
	a.LoggedIn(r.RemoteAddr, ok)
	if !ok {
		a.ask(w, r, http.StatusUnauthorized, "This isn't the admin token.")
		return
	}
	attempt.Succeed()
	setCookie(w, a.logins.begin(token), int(loginLife.Seconds()))
	redirect(w, "login?kept")
}

// cookieOf returns the value of the cookie; "" if there is none, or several: somebody else has set one of them.
func cookieOf(r *http.Request) string {
	all := r.CookiesNamed(cookieName)
	if len(all) != 1 {
		return ""
	}
	return all[0].Value
}

func setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}
