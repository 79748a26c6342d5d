// Package auth is the vocabulary of the gate: the request as it is judged, the flows that read credentials from it, the
// chain that tries them, and what they prove. It imports the standard library only; everything else imports it.
package auth

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
)

// ErrNoCredential says that a request carries no credential of a flow's kind. It is the only error after which the
// chain tries the next flow.
var ErrNoCredential = errors.New("no credential of this kind")

// A Flow reads one kind of credential from a request.
type Flow interface {
	// Authenticate returns what the request's credential proves. It wraps ErrNoCredential if the request carries no
	// credential of this kind: the chain tries the next flow. Any other error is final. A Result that comes with an
	// error carries nothing but headers for the response.
	Authenticate(*Request) (*Result, error)
}

// A Challenger answers a request that carries no credential, or not enough of one: a redirect to log in, or a 401 with
// WWW-Authenticate.
type Challenger interface {
	// Challenge wraps ErrNoCredential if this flow can't challenge this request: the next Challenger is asked.
	Challenge(*Request, Login) (*Answer, error)
}

// A Login is what a request needs one for.
type Login struct {
	StepUp     *StepUp // what it must be; nil: any
	Always     bool    // for every request for a page, not only a person's
	Issuer     string  // the name of the issuer, where there are several; empty: any
	LoggedInAt string  // the issuer at which the person is logged in, as a URL; empty: at none
}

// An Endpointer brings paths along that the gate answers itself, such as the redirection endpoint.
type Endpointer interface {
	Endpoints() []Endpoint
}

// An Endpoint is a path that a flow answers instead of the upstream.
type Endpoint struct {
	Name string // for the log: "callback", "logout"
	Path string // the exact path, decoded; match finds it before any rule
	// Matches is for an endpoint without a Path: it reports whether a request that has found its route is for it.
	Matches func(*Request) bool
	// Serve returns an Answer, or a Result without one, which goes on as if the chain had returned it. An error that wraps
	// ErrNoCredential is answered with the chain's challenge.
	Serve func(*Request) (*Result, error)

	// ServeUser takes the place of Serve at an endpoint that acts for a user. Users finds the user's credential in the
	// request; nil: the endpoint knows users by what was kept alone.
	ServeUser func(*Request, Visitor) (*Result, error)
	Users     Flow
}

// A Visitor gives an endpoint its users, and is the only way for an endpoint to have one: the route's policy has authorized
// each identity, together with the rule that covers the endpoint's path, before the endpoint acts for it.
type Visitor interface {
	// Identify returns what Endpoint.Users proves of the request, if the user may pass. Its error wraps ErrNoCredential
	// without a credential, and is the policy's for a user who is refused.
	Identify() (*Result, error)
	// Authorize judges an identity that was kept from an earlier request. Its error is the policy's.
	Authorize(*Identity) error
}

// A Reviewer looks again at the headers of an answer when it is sent. That may be long after the flow made them, and the same
// browser may have logged in meanwhile.
type Reviewer interface {
	// Review returns the header without the cookies that are not to be set or cleared any more. Forwarded says that the
	// answer waited for the upstream. The header isn't changed.
	Review(r *Request, header http.Header, forwarded bool) http.Header
}

// A Result is what a flow made of a request.
type Result struct {
	Identity *Identity   // immutable: it may come from a cache and serve many requests at once; nil without a credential
	Header   http.Header // for the response, whatever it becomes: a renewed session's cookie; never cached
	Answer   *Answer     // if set, this is the response and nothing is forwarded; with an Identity only if the policy lets that pass
	Used     []Param     // where the credential stood, so that it can be hidden from the upstream
	Issued   Claims      // the token response that it came from, where login_action shows it
	Query    *string     // if set, the upstream gets this query instead of the request's
}

// A Step follows the success of a flow. It returns the result, or another: results are never changed.
type Step func(*Request, *Result) (*Result, error)

// An Answer is a response of the gate's own.
type Answer struct {
	Status int
	Reason string // for the log, where it is in place of a refusal
	Header http.Header
	Body   []byte
	Page   *Page // rendered as HTML, problem JSON or gRPC status as the client understands, if Body is nil
}

// A Page is an answer in words, which the error writer renders in the form that the client reads.
type Page struct {
	Kind    string // one of the kinds below; empty for a refusal
	Title   string
	Text    string
	Items   []string // a list below the text
	Choices []Choice // links of which a person chooses one
	Link    string   // where the person can go on; empty for nowhere
	Action  string   // the words on the link or button
	NewTab  bool     // the link opens a new tab
	Post    bool     // the link is a button that sends POST
	Fields  []Field  // what Post sends, unseen
	Refuse  string   // the words on a second button, which sends a field called refuse as well; empty for none
}

// The kinds of pages that aren't refusals.
const (
	PageChoose    = "choose"     // where to log in
	PageLogout    = "logout"     // whether to log out
	PageLoggedOut = "logged_out" // that it is done
	PageConsent   = "consent"    // whether a client may have access
	PageSubmit    = "submit"     // a form that goes on by itself where the browser runs scripts; it is always the built-in page
)

// A Choice is one link of several.
type Choice struct{ Text, Link string }

// A Field is a form's hidden field.
type Field struct{ Name, Value string }

// An Entry is a flow of a chain, and what follows its success.
type Entry struct {
	Name   string // of the flow, which its refusals name in the log; empty: they name none
	Issuer string // whose credentials the flow judges, as a URL, which its refusals name; empty: they name none
	Flow   Flow
	Steps  []Step // in order; the first error is final
}

// authenticate asks the flow, then takes the steps. The headers of a result aren't lost when a step fails.
func (e *Entry) authenticate(r *Request) (*Result, error) {
	res, err := e.Flow.Authenticate(r)
	if err == nil {
		res = res.named(e.Name)
	}
	for _, step := range e.Steps {
		if err != nil {
			break
		}
		before := res.Header
		if res, err = step(r, res); err != nil {
			err = WithHeader(err, before)
		}
	}
	if err == nil || errors.Is(err, ErrNoCredential) {
		return res, err
	}
	return nil, e.refusal(err)
}

// named returns r with an identity that names the flow which proved it, unless it does already. The identity itself may be shared.
func (r *Result) named(flow string) *Result {
	if r.Identity == nil || r.Identity.Flow != "" {
		return r
	}
	out, identity := *r, *r.Identity
	identity.Flow = flow
	out.Identity = &identity
	return &out
}

// refusal returns an error of the entry's with the names of the flow and the issuer, unless it has them already.
func (e *Entry) refusal(err error) error {
	refused, ok := err.(*Error)
	if !ok || (refused.Flow != "" || e.Name == "") && (refused.Issuer != "" || e.Issuer == "") {
		return err
	}
	named := *refused
	named.Flow, named.Issuer = cmp.Or(named.Flow, e.Name), cmp.Or(named.Issuer, e.Issuer)
	return &named
}

// A Chain tries flows in order until one finds its credential.
type Chain []Entry

// Authenticate returns the Result of the first flow whose error isn't ErrNoCredential, with the headers of the flows before it
// merged in. If no flow finds a credential the error wraps ErrNoCredential. Errors carry the headers of all flows that were asked.
func (c Chain) Authenticate(r *Request) (*Result, error) {
	var header http.Header
	for i := range c {
		res, err := c[i].authenticate(r)
		switch {
		case err == nil:
			return res.with(header), nil
		case !errors.Is(err, ErrNoCredential):
			return nil, WithHeader(err, header)
		case err != ErrNoCredential:
			header = MergeHeader(header, HeaderOf(err))
		}
	}
	return nil, WithHeader(ErrNoCredential, header)
}

// Challenge asks the flows, the last one first, to answer a request without a credential: a login, where the client is a
// browser, comes before a 401.
func (c Chain) Challenge(r *Request, l Login) (*Answer, error) {
	for i := len(c) - 1; i >= 0; i-- {
		ch, ok := c[i].Flow.(Challenger)
		if !ok {
			continue
		}
		if a, err := ch.Challenge(r, l); !errors.Is(err, ErrNoCredential) {
			return a, err
		}
	}
	return nil, ErrNoCredential
}

// Review returns the header as its flows let it be sent.
func (c Chain) Review(r *Request, header http.Header, forwarded bool) http.Header {
	for i := range c {
		if reviewer, ok := c[i].Flow.(Reviewer); ok {
			header = reviewer.Review(r, header, forwarded)
		}
	}
	return header
}

// Endpoints returns what the chain's flows answer themselves.
func (c Chain) Endpoints() []Endpoint {
	var all []Endpoint
	for i := range c {
		if e, ok := c[i].Flow.(Endpointer); ok {
			all = append(all, e.Endpoints()...)
		}
	}
	return all
}

// with returns r with the headers of h before its own.
func (r *Result) with(h http.Header) *Result {
	if len(h) == 0 {
		return r
	}
	merged := h.Clone()
	for k, vs := range r.Header {
		merged[k] = append(merged[k], vs...)
	}
	out := *r
	out.Header = merged
	return &out
}

// MergeHeader adds every value of src to dst and returns dst, or a copy of src if dst is nil.
func MergeHeader(dst, src http.Header) http.Header {
	if dst == nil {
		return maps.Clone(src)
	}
	for k, vs := range src {
		dst[k] = append(dst[k], vs...)
	}
	return dst
}
