package flow

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// logins begin a login at one of several issuers: the one that the rule names, or the request, or that a person chooses.
type issuerLogins struct {
	arg  string
	home string // the route's first path
	list []issuerLogin
}

type issuerLogin struct {
	name    string
	title   string
	domains []string // of addresses in login_hint
	issuer  string   // as a URL
	flow    *authorizationCode
}

func (l *issuerLogins) Authenticate(*auth.Request) (*auth.Result, error) {
	return nil, auth.ErrNoCredential
}

func (l *issuerLogins) Endpoints() (all []auth.Endpoint) {
	for _, at := range l.list {
		all = append(all, at.flow.Endpoints()...)
	}
	return all
}

func (l *issuerLogins) Challenge(r *auth.Request, want auth.Login) (*auth.Answer, error) {
	if !r.Navigation(want.Always) {
		return nil, auth.ErrNoCredential
	}
	if at := l.choose(r, want); at != nil {
		return at.flow.Challenge(r, want)
	}
	return l.page(r)
}

// maxChosen bounds the address to which each choice leads, in bytes: no longer one comes back from a login.
const maxChoiceLink = 8 << 10

// choose is where a login begins; nil if that is for the person to say. A name that nobody has counts as none.
func (l *issuerLogins) choose(r *auth.Request, want auth.Login) *issuerLogin {
	if len(l.list) == 1 {
		return &l.list[0]
	}
	if name := cmp.Or(want.Issuer, r.Query().Get(l.arg)); name != "" {
		return l.find(func(at *issuerLogin) bool { return at.name == name })
	}
	if at := l.find(func(at *issuerLogin) bool { return at.issuer == want.Again }); at != nil {
		return at
	}
	_, domain, _ := strings.Cut(strings.ToLower(r.Query().Get("login_hint")), "@")
	return l.find(func(at *issuerLogin) bool { return domain != "" && slices.Contains(at.domains, domain) })
}

// find returns the first that is, or nil.
func (l *issuerLogins) find(is func(*issuerLogin) bool) *issuerLogin {
	for n := range l.list {
		if is(&l.list[n]) {
			return &l.list[n]
		}
	}
	return nil
}

// page is where a person chooses. Its links lead to the page that was asked for, with the choice. One whose address is too long
// to come back to is refused as a login to it is.
func (l *issuerLogins) page(r *auth.Request) (*auth.Answer, error) {
	p := &auth.Page{Kind: auth.PageChoose, Title: "Log in", Text: "Choose where you have an account."}
	back := r.Origin + returnTarget(r, []string{l.arg})
	if len(back) > maxChoiceLink {
		return nil, returnTooLong(r, l.home)
	}
	sign := "?"
	if strings.Contains(back, "?") {
		sign = "&"
	}
	for _, at := range l.list {
		link := back + sign + url.Values{l.arg: {at.name}}.Encode()
		p.Choices = append(p.Choices, auth.Choice{Text: cmp.Or(at.title, at.name), Link: link})
	}
	return &auth.Answer{
		Status: http.StatusUnauthorized, Reason: "issuer_not_chosen", Page: p, Header: http.Header{"Cache-Control": {"no-store"}},
	}, nil
}
