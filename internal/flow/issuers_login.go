package flow

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// issuerLogins begin a login at one of several issuers: the one that the rule or the request names, or that the user chooses
// on a page.
type issuerLogins struct {
	arg  string
	home string // the first path of the route
	list []issuerLogin
}

type issuerLogin struct {
	name    string
	title   string
	domains []string // the domains in login_hint
	issuer  string   // its URL
	flow    *authorizationCode
}

func (l *issuerLogins) Authenticate(*auth.Request) (*auth.Result, error) {
	return nil, auth.ErrNoCredential
}

func (l *issuerLogins) Endpoints() (all []auth.Endpoint) {
	var forms []*keptForms
	for _, at := range l.list {
		for _, e := range at.flow.Endpoints() {
			if e.Path != at.flow.forms.endpointPath() {
				all = append(all, e)
			}
		}
		if at.flow.forms != nil {
			forms = append(forms, at.flow.forms)
		}
	}
	if len(forms) > 0 {
		all = append(all, sharedForms(forms))
	}
	return all
}

// sharedForms returns the endpoint for the forms of several issuers. The issuer is that of the form that the request's cookie names.
func sharedForms(list []*keptForms) auth.Endpoint {
	e := list[0].endpoint()
	e.Serve = func(r *auth.Request) (*auth.Result, error) {
		for _, f := range list {
			if _, ok := f.named(r); ok {
				return f.serve(r)
			}
		}
		return list[0].serve(r)
	}
	return e
}

func (l *issuerLogins) Challenge(r *auth.Request, want auth.Login) (*auth.Answer, error) {
	if !r.Navigation(want.Always) {
		return l.keepForm(r, want)
	}
	if at := l.choose(r, want); at != nil {
		return at.flow.Challenge(r, want)
	}
	return l.page(r)
}

// keepForm begins a login at the issuer whose session a form met, if the form can be kept.
func (l *issuerLogins) keepForm(r *auth.Request, want auth.Login) (*auth.Answer, error) {
	for _, at := range l.list {
		if a, err := at.flow.Challenge(r, want); !errors.Is(err, auth.ErrNoCredential) {
			return a, err
		}
	}
	return nil, auth.ErrNoCredential
}

// maxChoiceLink is the longest return address in the links of the page, in bytes. A login refuses longer ones as well.
const maxChoiceLink = 8 << 10

// choose returns the issuer at which the login begins; nil if the user has to choose. An unknown name counts as no choice.
func (l *issuerLogins) choose(r *auth.Request, want auth.Login) *issuerLogin {
	if len(l.list) == 1 {
		return &l.list[0]
	}
	if name := cmp.Or(want.Issuer, r.Query().Get(l.arg)); name != "" {
		return l.find(func(at *issuerLogin) bool { return at.name == name })
	}
	if at := l.find(func(at *issuerLogin) bool { return at.issuer == want.LoggedInAt }); at != nil {
		return at
	}
	_, domain, _ := strings.Cut(strings.ToLower(r.Query().Get("login_hint")), "@")
	return l.find(func(at *issuerLogin) bool { return domain != "" && slices.Contains(at.domains, domain) })
}

// find returns the first login for which is returns true, or nil.
func (l *issuerLogins) find(is func(*issuerLogin) bool) *issuerLogin {
	for n := range l.list {
		if is(&l.list[n]) {
			return &l.list[n]
		}
	}
	return nil
}

// page returns the page on which the user chooses an issuer. Its links lead to the requested page with the choice as a
// parameter. A page whose URL is too long is refused, as by the login.
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
