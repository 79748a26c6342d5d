package authz

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"sallyport/internal/auth"
)

// The objects that an expression can read. CEL checks the names of their fields when it compiles the expression.
type (
	celRequest struct {
		Method   string              `cel:"method"`
		Scheme   string              `cel:"scheme"`
		Host     string              `cel:"host"` // without port
		Path     string              `cel:"path"` // decoded
		Query    map[string][]string `cel:"query"`
		Headers  map[string]string   `cel:"headers"` // lower-case names; values are joined (RFC 9110 §5.3); no credentials
		ClientIP string              `cel:"client_ip"`
		Time     time.Time           `cel:"time"`
	}
	celToken struct {
		Flow      string    `cel:"flow"` // that authenticated the request; empty: the request has no identity
		Issuer    string    `cel:"issuer"`
		ClientID  string    `cel:"client_id"` // the claim client_id, or else azp
		Subject   string    `cel:"sub"`
		Scopes    []string  `cel:"scopes"`
		Expires   time.Time `cel:"expires"`   // the zero time if it is unknown
		Presented bool      `cel:"presented"` // the client sent the token, rather than the gate obtained it

		AuthorizationDetails []map[string]any `cel:"authorization_details"` // RFC 9396
	}
	celSession struct {
		Present  bool      `cel:"present"` // the request has a session
		ACR      string    `cel:"acr"`
		AMR      []string  `cel:"amr"`
		AuthTime time.Time `cel:"auth_time"` // of the login; the zero time if it is unknown
		SID      string    `cel:"sid"`       // the session at the OpenID Provider
	}
)

const (
	maxExpression = 4096    // characters
	maxCost       = 100_000 // of one evaluation, in CEL's units: a few milliseconds
)

// environment returns the CEL environment, which all expressions share.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	tags, claims := types.ParseStructTags(true), cel.MapType(cel.StringType, cel.DynType)
	return cel.NewEnv(
		cel.Types(
			cel.NativeTypeFor[celRequest](tags), cel.NativeTypeFor[celToken](tags), cel.NativeTypeFor[celSession](tags),
			cel.NativeTypeFor[Consumer](tags),
		),
		cel.Variable("claims", claims), cel.Variable("id_token", claims), cel.Variable("userinfo", claims),
		cel.Variable("token", cel.ObjectType("authz.celToken")),
		cel.Variable("session", cel.ObjectType("authz.celSession")),
		cel.Variable("request", cel.ObjectType("authz.celRequest")),
		cel.Variable("consumer", cel.ObjectType("authz.Consumer")),
		cel.CrossTypeNumericComparisons(true),
		ext.Strings(), ext.Sets(), cel.OptionalTypes(),
	)
})

// An expression is a rule's allow, compiled and type-checked when the configuration is loaded.
type expression struct {
	text        string
	program     cel.Program
	requestOnly bool // its result depends only on the request
	query       bool // it may read the query
	address     bool // it may read the client's address
	method      bool // it may read the method
}

// CheckAllow returns the first problem of an expression, with its line and column, or nil.
func CheckAllow(text string) error {
	_, err := compile(text)
	return err
}

// ReadsRequest reports whether an expression may read the request: it contains the word.
func ReadsRequest(text string) bool { return strings.Contains(text, "request") }

// ReadsMethod reports whether an expression may read the request's method: it contains the word.
func ReadsMethod(text string) bool { return strings.Contains(text, "method") }

// ReadsIdentity reports whether the result of an expression may depend on the identity of a request.
func ReadsIdentity(text string) bool {
	e, err := compile(text)
	return err == nil && !e.requestOnly
}

// compile compiles an expression. See CheckAllow for the error.
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
		return nil, errors.New(firstIssue(issues))
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
		method: ReadsMethod(text), address: readsAddress(ast),
	}, nil
}

// firstIssue returns the first issue with its line and column.
func firstIssue(issues *cel.Issues) string {
	e := issues.Errors()[0]
	return fmt.Sprintf("line %d, column %d: %s", e.Location.Line(), e.Location.Column()+1, strings.TrimSpace(e.Message))
}

// identityVariables are the variables that depend on the identity.
var identityVariables = []string{"claims", "id_token", "userinfo", "token", "session", "consumer"}

// onlyRequest reports whether an expression uses no variable that depends on the identity.
func onlyRequest(ast *cel.Ast) bool {
	for _, reference := range ast.NativeRep().ReferenceMap() {
		if slices.Contains(identityVariables, reference.Name) {
			return false
		}
	}
	return true
}

// readsAddress reports whether an expression may read the client's address. Only the selection of another field of request certainly
// does not.
func readsAddress(ast *cel.Ast) bool {
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

// judge returns nil if the expression is true, and otherwise an error with status 403. The request is also refused if the evaluation fails,
// as for an absent claim, or costs too much; if the query is malformed, because the upstream might parse it differently; or if the
// expression reads the client's address and that is unknown, because it counts neither as internal nor as external. If the upstream may
// read the path in several ways, the expression must be true for each.
func (e *expression) judge(s *subject) error {
	if e.query {
		if _, err := url.ParseQuery(s.request.URL.RawQuery); err != nil {
			return forbid("allow_failed", "allow: %s: the query can't be read: %w", e.text, err)
		}
	}
	if e.address && !s.request.ClientAddr.IsValid() {
		return forbid("allow_failed", "allow: %s: the client's address is unknown: see trusted_proxies", e.text)
	}
	err := e.judgePath(s, s.request.Path)
	for n := 0; n < len(s.request.Readings) && err == nil; n++ {
		err = e.judgePath(s, s.request.Readings[n])
	}
	return err
}

// judgePath evaluates the expression for one reading of the path.
func (e *expression) judgePath(s *subject, path string) error {
	out, _, err := e.program.ContextEval(s.request.Context(), s.variables(path))
	if err != nil {
		return forbid("allow_failed", "allow: %s: %w", e.text, err)
	}
	if out == types.True {
		return nil
	}
	if path != s.request.Path {
		return forbid("allow_false", "allow: %s: it is %v for the path %q, as which the upstream may read this one",
			e.text, out.Value(), clip(path))
	}
	return forbid("allow_false", "allow: %s: it is %v", e.text, out.Value())
}

// variables returns the variables of an expression. Each value is computed when the expression reads it.
func (s *subject) variables(path string) map[string]any {
	i := s.identity
	if i == nil {
		i = &auth.Identity{}
	}
	return map[string]any{
		"claims":   func() any { return plain(s.claims) },
		"id_token": func() any { return plain(i.IDToken) },
		"userinfo": func() any { return plain(i.Userinfo) },
		"token":    func() any { return s.token() },
		"session":  func() any { return s.session() },
		"request":  func() any { return s.celRequest(path) },
		"consumer": func() any { return s.consumer() },
	}
}

// plain returns claims as a map that is never nil.
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

func (s *subject) token() celToken {
	i := s.identity
	if i == nil {
		return celToken{}
	}
	scopes := s.claims.Words([]string{"scope"})
	if len(scopes) == 0 {
		scopes = strings.Fields(i.Tokens.Scope)
	}
	return celToken{
		Flow: i.Flow, Issuer: i.Issuer, ClientID: cmp.Or(i.ClientID, s.claims.String("azp")), Subject: i.Subject, Scopes: scopes,
		Expires: i.Tokens.Expiry, Presented: i.Presented, AuthorizationDetails: s.authorizationDetails(),
	}
}

// authorizationDetails returns the objects in authorization_details of the access token (RFC 9396 §2): in its claims or its introspection
// (§9), else in the token response (§7).
func (s *subject) authorizationDetails() (all []map[string]any) {
	var list []any = s.identity.Tokens.AuthorizationDetails
	for _, claims := range []auth.Claims{s.identity.AccessToken, s.identity.Introspection} {
		if own, isList := claims["authorization_details"].([]any); isList {
			list = own
		}
	}
	for _, d := range list {
		if object, ok := d.(map[string]any); ok {
			all = append(all, object)
		}
	}
	return all
}

func (s *subject) session() celSession {
	i := s.identity
	if i == nil || !i.Session {
		return celSession{}
	}
	acr, _ := i.Lookup([]string{"acr"})
	amr, _ := i.Lookup([]string{"amr"})
	f := celSession{Present: true, AMR: auth.Claims{"v": amr}.Values([]string{"v"}), SID: i.IDToken.String("sid")}
	f.ACR, _ = auth.Scalar(acr)
	f.AuthTime, _ = i.LookupTime("auth_time")
	return f
}

func (s *subject) celRequest(path string) celRequest {
	r := s.request
	scheme, _, _ := strings.Cut(r.Origin, "://")
	f := celRequest{Method: r.Method, Scheme: scheme, Host: r.Hostname, Path: path, Query: r.Query(), ClientIP: r.Client(), Time: now()}
	f.Headers = make(map[string]string, len(r.Header))
	for name, values := range r.Header {
		if name != "Authorization" && name != "Cookie" && name != "Proxy-Authorization" && len(values) > 0 {
			f.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	return f
}
