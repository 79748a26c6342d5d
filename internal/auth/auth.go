// Package auth has the types that the rooms of the gate share: the request, the flows that read credentials from it, the chain that tries
// the flows, and the identity that a credential proves. It imports only the standard library.
package auth

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"
)

// ErrNoCredential means that a request carries no credential of a flow's kind. It is the only error after which a chain tries the next
// flow.
var ErrNoCredential = errors.New("no credential of this kind")

// A Flow reads one kind of credential from a request.
type Flow interface {
	// Authenticate returns what the request's credential proves. The error wraps ErrNoCredential if the request carries no
	// credential of this kind: the chain tries the next flow. Any other error is final. A Result that comes with an
	// error carries nothing but headers for the response.
	Authenticate(*Request) (*Result, error)
}

// A Challenger answers a request that carries no credential, or not enough of one: a redirect to log in, or a 401 with
// WWW-Authenticate.
type Challenger interface {
	// Challenge returns the answer. The error wraps ErrNoCredential if this flow can't challenge this request; then the chain tries
	// the next Challenger.
	Challenge(*Request, Login) (*Answer, error)
}

// A Login says which login a request needs.
type Login struct {
	StepUp     *StepUp // the strength and age that it must have; nil: any
	Always     bool    // it begins for every request for a page, not only for a browser's navigation
	Issuer     string  // the name of the issuer in a route that has several; empty: any
	LoggedInAt string  // the issuer at which the person is logged in, as a URL; empty: at none
	Form       bool    // the request may be kept until the login is done, if it is a form
}

// An Endpointer is a flow with endpoints of its own, such as the redirection endpoint.
type Endpointer interface {
	Endpoints() []Endpoint
}

// An Endpoint is a path that a flow answers instead of the upstream.
type Endpoint struct {
	Name string // for the log: "callback", "logout"
	Path string // the exact path, decoded; it is matched before any rule
	// Matches is set for an endpoint without a Path: it reports whether a request of the route is for the endpoint.
	Matches func(*Request) bool
	// Serve returns a Result. One without an Answer is treated like the chain's. An error that wraps ErrNoCredential is answered with
	// the chain's challenge.
	Serve func(*Request) (*Result, error)

	// ServeUser replaces Serve at an endpoint that acts for a user. Users finds the user's credential in the request. It is nil if the
	// endpoint only knows users of earlier requests.
	ServeUser func(*Request, Visitor) (*Result, error)
	Users     Flow
}

// A Visitor returns the users of an endpoint. An endpoint has no other way to act for a user: the route's policy, with the rule for the
// endpoint's path, has authorized each identity before the endpoint sees it.
type Visitor interface {
	// Identify returns what Endpoint.Users proves of the request, if the user may pass. Its error wraps ErrNoCredential
	// without a credential, and is the policy's for a user who is refused.
	Identify() (*Result, error)
	// Authorize asks the policy about an identity of an earlier request. The error is the policy's.
	Authorize(*Identity) error
}

// A Reviewer checks the headers of an answer when it is sent. The flow may have made them long before, and the same browser may have
// logged in since then.
type Reviewer interface {
	// Review returns the header without the cookies that must no longer be set or cleared. forwarded means that the answer is the
	// upstream's. Review doesn't change the header.
	Review(r *Request, header http.Header, forwarded bool) http.Header
}

// A Watcher is a login that can end while a request that it authenticates goes on, as a stream does.
type Watcher interface {
	// Watch calls ended once when the login ends, until stop is called; ended may still be under way then. While used reports that the
	// stream was in use since the last call, the login counts as used.
	Watch(used func() bool, ended func()) (stop func())
}

// A Result is what a flow returns for a request.
type Result struct {
	Identity *Identity   // immutable, because caches share it between requests; nil without a credential
	Header   http.Header // for the response, whatever it is: the cookie of a rotated session; never cached
	Answer   *Answer     // if set, the response; with an Identity it is sent only if the policy authorizes that
	Used     []Param     // the places of the credential, which hide_credentials removes
	Issued   Claims      // the token response, which login_action can return
	Received time.Time   // when the token response arrived; zero without one
	Session  *Session    // nil without a session, or if no header sends its properties
	Query    *string     // if set, the upstream gets this query instead of the request's
	Watcher  Watcher     // of the login that the request proved; nil: it lasts as long as the request

	// Resume is set by an endpoint that has another request of the same client, which is decided and forwarded in place of this one.
	Resume *http.Request
}

// A Step follows the success of a flow. It returns the result or a changed copy.
type Step func(*Request, *Result) (*Result, error)

// An Answer is a response that the gate makes itself.
type Answer struct {
	Status int
	Reason string // for the log; empty unless the answer replaces a refusal
	Header http.Header
	Body   []byte
	Page   *Page // rendered as HTML, problem JSON or gRPC status as the client understands, if Body is nil
}

// A Page is an answer for a person, which is rendered in the format that the client accepts.
type Page struct {
	Kind    string // one of the kinds below; empty for a refusal
	Title   string
	Text    string
	Items   []string // a list below the text
	Choices []Choice // links of which a person chooses one
	Link    string   // the address of the link or button; empty for none
	Action  string   // the words on the link or button
	NewTab  bool     // the link opens a new tab
	Post    bool     // the link is a button that sends POST
	Fields  []Field  // hidden fields that Post sends
	Refuse  string   // the words on a second button, which sends a field called refuse as well; empty for none
}

// The kinds of pages that aren't refusals.
const (
	PageChoose    = "choose"     // asks at which issuer to log in
	PageLogout    = "logout"     // asks whether to log out
	PageLoggedOut = "logged_out" // says that the logout is done
	PageConsent   = "consent"    // asks whether a client may have access
	PageResume    = "resume"     // asks whether to send a form that met the end of a session
	PageSubmit    = "submit"     // a form that a script submits, if the browser runs scripts; it is always the built-in page
)

// A Choice is one link of several.
type Choice struct{ Text, Link string }

// A Field is a form's hidden field.
type Field struct{ Name, Value string }

// An Entry is a flow of a chain and the steps that follow its success.
type Entry struct {
	Name   string // of the flow: Identity.Flow, and Error.Flow of its refusals
	Issuer string // Error.Issuer of its refusals; empty for flows that aren't of one issuer
	Flow   Flow
	Steps  []Step // in order; the first error is final
}

// authenticate calls the flow, then the steps. If a step fails, its error gets the headers of the result before.
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

// named returns r with Identity.Flow set, unless it is set already. It copies both, because they may be shared.
func (r *Result) named(flow string) *Result {
	if r.Identity == nil || r.Identity.Flow != "" {
		return r
	}
	both := &struct { // in one allocation
		Result
		identity Identity
	}{*r, *r.Identity}
	both.identity.Flow = flow
	both.Identity = &both.identity
	return &both.Result
}

// refusal returns err with Flow and Issuer set, unless they are set already. It copies the error, which may be shared.
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

// Challenge asks the flows to answer a request without a credential. The last flow is asked first, so that a browser is sent to log in
// before any other flow can answer 401.
func (c Chain) Challenge(r *Request, l Login) (*Answer, error) {
	for _, e := range slices.Backward(c) {
		ch, ok := e.Flow.(Challenger)
		if !ok {
			continue
		}
		if a, err := ch.Challenge(r, l); !errors.Is(err, ErrNoCredential) {
			return a, err
		}
	}
	return nil, ErrNoCredential
}

// Review calls Review of each flow that is a Reviewer.
func (c Chain) Review(r *Request, header http.Header, forwarded bool) http.Header {
	for i := range c {
		if reviewer, ok := c[i].Flow.(Reviewer); ok {
			header = reviewer.Review(r, header, forwarded)
		}
	}
	return header
}

// Endpoints returns the endpoints of all flows.
func (c Chain) Endpoints() []Endpoint {
	var all []Endpoint
	for i := range c {
		if e, ok := c[i].Flow.(Endpointer); ok {
			all = append(all, e.Endpoints()...)
		}
	}
	return all
}

// with returns r with the headers of h before its own. It copies r if h isn't empty.
func (r *Result) with(h http.Header) *Result {
	if len(h) == 0 {
		return r
	}
	out := *r
	out.Header = MergeHeader(h.Clone(), r.Header)
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
