package authz

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"sallyport/internal/auth"
)

// What an expression sees. Fields are checked at load: a slip is found there.
type (
	requestFacts struct {
		Method   string              `cel:"method"`
		Scheme   string              `cel:"scheme"`
		Host     string              `cel:"host"` // by which the route was found, without port
		Path     string              `cel:"path"` // decoded, as it is judged
		Query    map[string][]string `cel:"query"`
		Headers  map[string]string   `cel:"headers"` // names in lower case, several values of one as one list (RFC 9110 §5.3); without credentials
		ClientIP string              `cel:"client_ip"`
		Time     time.Time           `cel:"time"`
	}
	tokenFacts struct {
		Flow      string    `cel:"flow"` // which proved it; empty: nobody is known
		Issuer    string    `cel:"issuer"`
		ClientID  string    `cel:"client_id"` // the claim, or azp where there is none
		Subject   string    `cel:"sub"`
		Scopes    []string  `cel:"scopes"`
		Expires   time.Time `cel:"expires"`   // the zero time if it isn't known
		Presented bool      `cel:"presented"` // the caller brought it, rather than the gate having got it
	}
	sessionFacts struct {
		Present  bool      `cel:"present"` // a login at the gate has begun it
		ACR      string    `cel:"acr"`
		AMR      []string  `cel:"amr"`
		AuthTime time.Time `cel:"auth_time"` // of the login; the zero time if it isn't known
		SID      string    `cel:"sid"`       // at the provider
	}
)

const (
	maxExpression = 4096    // characters
	maxCost       = 100_000 // of one evaluation, in CEL's units: some milliseconds
)

// environment is made once: all expressions see the same variables.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	object := func(name string) *cel.Type { return cel.ObjectType(name) }
	return cel.NewEnv(
		cel.Types(
			cel.NativeTypeFor[requestFacts](types.ParseStructTags(true)), cel.NativeTypeFor[tokenFacts](types.ParseStructTags(true)),
			cel.NativeTypeFor[sessionFacts](types.ParseStructTags(true)), cel.NativeTypeFor[Consumer](types.ParseStructTags(true)),
		),
		cel.Variable("claims", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("id_token", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("userinfo", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("token", object("authz.tokenFacts")),
		cel.Variable("session", object("authz.sessionFacts")),
		cel.Variable("request", object("authz.requestFacts")),
		cel.Variable("consumer", object("authz.Consumer")),
		cel.CrossTypeNumericComparisons(true),
		ext.Strings(), ext.Sets(), cel.OptionalTypes(),
	)
})

// An expression is a rule's allow, compiled and type-checked at load.
type expression struct {
	text        string
	program     cel.Program
	requestOnly bool // nothing but the request decides
	query       bool // the query does, too
	address     bool // it asks for the client's address
	method      bool // and the method
}

// CheckAllow says what is wrong with an expression, and where in it.
func CheckAllow(text string) error {
	_, err := compile(text)
	return err
}

// ReadsMethod reports whether an expression may depend on the request's method. It errs on the safe side: the word suffices.
func ReadsMethod(text string) bool { return strings.Contains(text, "method") }

// compile returns the expression of a text, or what is wrong with it and where.
func compile(text string) (*expression, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("it is longer than %d characters: split it into rules", maxExpression)
	}
	env, err := environment()
	if err != nil {
		return nil, err
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, errors.New(complaint(issues))
	}
	if kind := ast.OutputType(); !kind.IsExactType(cel.BoolType) && !kind.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("it is %s, expected true or false: compare it with something", kind)
	}
	if err := checkLiterals(ast); err != nil {
		return nil, err
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost), cel.InterruptCheckFrequency(1000))
	if err != nil {
		return nil, err
	}
	return &expression{
		text: text, program: program, requestOnly: onlyRequest(ast), query: strings.Contains(text, "query"),
		method: ReadsMethod(text), address: asksAddress(ast),
	}, nil
}

// complaint is the first mistake, with its place in the expression.
func complaint(issues *cel.Issues) string {
	e := issues.Errors()[0]
	return fmt.Sprintf("line %d, column %d: %s", e.Location.Line(), e.Location.Column()+1, strings.TrimSpace(e.Message))
}

// variables are what an expression may name.
var variables = []string{"claims", "id_token", "userinfo", "token", "session", "consumer"}

func onlyRequest(ast *cel.Ast) bool {
	for _, reference := range ast.NativeRep().ReferenceMap() {
		for _, name := range variables {
			if reference.Name == name {
				return false
			}
		}
	}
	return true
}

// asksAddress reports whether an expression can see the client's address: by request.client_ip, or by a use of request as a
// whole, which every use is but the selection of another field.
func asksAddress(ast *cel.Ast) bool {
	for _, name := range celast.MatchDescendants(celast.NavigateAST(ast.NativeRep()), celast.KindMatcher(celast.IdentKind)) {
		if name.AsIdent() != "request" {
			continue
		}
		parent, found := name.Parent()
		if !found || parent.Kind() != celast.SelectKind || parent.AsSelect().FieldName() == "client_ip" {
			return true
		}
	}
	return false
}

// judge evaluates the expression: nil, or 403. What can't be evaluated, such as a claim that isn't there, and what would run
// away, refuses. So does a query that the upstream might read in another way than the expression does, and a client's address
// that is unknown, whatever the expression makes of it: it must pass neither as internal nor as not internal. The expression
// must be true for every way in which the upstream may read the path.
func (e *expression) judge(s *subject) error {
	if e.query {
		if _, err := url.ParseQuery(s.request.URL.RawQuery); err != nil {
			return auth.Forbidden("allow_failed", fmt.Errorf("allow: %s: the query can't be read: %w", e.text, err))
		}
	}
	if e.address && !s.request.ClientAddr.IsValid() {
		return auth.Forbidden("allow_failed", fmt.Errorf("allow: %s: the client's address is unknown: see trusted_proxies", e.text))
	}
	err := e.judgePath(s, s.request.Path)
	for n := 0; n < len(s.request.Readings) && err == nil; n++ {
		err = e.judgePath(s, s.request.Readings[n])
	}
	return err
}

// judgePath evaluates the expression for one way to read the path.
func (e *expression) judgePath(s *subject, path string) error {
	out, _, err := e.program.ContextEval(s.request.Context(), s.facts(path))
	if err != nil {
		return auth.Forbidden("allow_failed", fmt.Errorf("allow: %s: %w", e.text, err))
	}
	if out == types.True {
		return nil
	}
	if path != s.request.Path {
		return auth.Forbidden("allow_false",
			fmt.Errorf("allow: %s: it is %v for the path %q, as which the upstream may read this one", e.text, out.Value(), clip(path)))
	}
	return auth.Forbidden("allow_false", fmt.Errorf("allow: %s: it is %v", e.text, out.Value()))
}

// facts are the values of the variables, each made when it is asked for.
func (s *subject) facts(path string) map[string]any {
	return map[string]any{
		"claims":   func() any { return plain(s.claims) },
		"id_token": func() any { return plain(s.identity.Claims(auth.IDTokenClaims)) },
		"userinfo": func() any { return plain(s.identity.Claims(auth.UserinfoClaims)) },
		"token":    func() any { return s.token() },
		"session":  func() any { return s.session() },
		"request":  func() any { return s.requestFacts(path) },
		"consumer": func() any { return s.consumer() },
	}
}

func plain(c auth.Claims) map[string]any {
	if c == nil {
		return map[string]any{}
	}
	return c
}

func (s *subject) consumer() Consumer {
	if s.grant.Consumer == nil {
		return Consumer{}
	}
	c := *s.grant.Consumer
	c.Groups = s.grant.ConsumerGroups
	return c
}

func (s *subject) token() tokenFacts {
	i := s.identity
	if i == nil {
		return tokenFacts{}
	}
	scopes := s.claims.Words([]string{"scope"})
	if len(scopes) == 0 {
		scopes = strings.Fields(i.Tokens.Scope)
	}
	return tokenFacts{
		Flow: i.Flow, Issuer: i.Issuer, ClientID: cmp.Or(i.ClientID, s.claims.String("azp")), Subject: i.Subject, Scopes: scopes,
		Expires: i.Tokens.Expiry, Presented: i.Presented,
	}
}

func (s *subject) session() sessionFacts {
	i := s.identity
	if i == nil || !i.Session {
		return sessionFacts{}
	}
	acr, _ := i.Lookup([]string{"acr"})
	amr, _ := i.Lookup([]string{"amr"})
	f := sessionFacts{Present: true, AMR: auth.Claims{"v": amr}.Values([]string{"v"}), SID: i.IDToken.String("sid")}
	f.ACR, _ = auth.Scalar(acr)
	f.AuthTime, _ = i.LookupTime("auth_time")
	return f
}

func (s *subject) requestFacts(path string) requestFacts {
	r := s.request
	scheme, _, _ := strings.Cut(r.Origin, "://")
	f := requestFacts{Method: r.Method, Scheme: scheme, Host: r.Hostname, Path: path, Query: r.Query(), ClientIP: r.Client(), Time: now()}
	f.Headers = make(map[string]string, len(r.Header))
	for name, values := range r.Header {
		if name != "Authorization" && name != "Cookie" && name != "Proxy-Authorization" && len(values) > 0 {
			f.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	return f
}
