package flow

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/mcp"
)

// ResourceSettings advertise the route as an OAuth protected resource.
type ResourceSettings struct {
	ProtectedResourceMetadata *ResourceMetadata `yaml:"protected_resource_metadata" group:"issuer"` // nil: the route has no metadata
}

// ResourceMetadata is the metadata of a protected resource (RFC 9728 §2).
type ResourceMetadata struct {
	Resource             string   `yaml:"resource" required:"true"` // the identifier: an https URL without a fragment
	AuthorizationServers []string `yaml:"authorization_servers" required:"true" min:"1"`
	ScopesSupported      []string `yaml:"scopes_supported"`
	MetadataEndpoint     string   `yaml:"metadata_endpoint"` // a path; default: see Path
}

// Path returns the path of the metadata: by default /.well-known/oauth-protected-resource, followed by the path of the
// resource (RFC 9728 §3.1).
func (m *ResourceMetadata) Path() string {
	if m.MetadataEndpoint != "" {
		return m.MetadataEndpoint
	}
	resource := auth.Resource{Base: "/"}
	if u, err := url.Parse(m.Resource); err == nil {
		resource.Base = u.Path
	}
	return resource.MetadataPaths()[0]
}

// Challenge returns the parameters of WWW-Authenticate from which a client finds the metadata (RFC 9728 §5.1). They begin
// with a comma; empty without metadata.
func (s *ResourceSettings) Challenge() string {
	m := s.ProtectedResourceMetadata
	if m == nil {
		return ""
	}
	u, err := url.Parse(m.Resource)
	if err != nil {
		return ""
	}
	challenge := ", resource_metadata=" + strconv.Quote(u.Scheme+"://"+u.Host+(&url.URL{Path: m.Path()}).EscapedPath())
	if len(m.ScopesSupported) > 0 {
		challenge += ", scope=" + strconv.Quote(strings.Join(m.ScopesSupported, " "))
	}
	return challenge
}

// resource serves the metadata, without authentication. It reads no credential.
type resource struct {
	paths []string
	body  func(*auth.Request) []byte
}

// resourceKind is on if protected_resource_metadata is set, or the route is an MCP server. Settings do not name it.
var resourceKind = Kind{
	new: newResource, role: rolePublish, check: checkResource,
	isOn: func(v view) bool {
		return of[ResourceSettings](v).ProtectedResourceMetadata != nil || of[mcp.Route](v).On
	},
	paths: func(v view, base string) (all []OwnPath) {
		if route := routeAt(v, base); route.On {
			for _, path := range route.MetadataPaths() {
				all = append(all, OwnPath{Endpoint: "resource metadata", Path: path, Key: "mcp", Shared: true})
			}
			return all
		}
		const key = "protected_resource_metadata"
		path := of[ResourceSettings](v).ProtectedResourceMetadata.Path()
		return []OwnPath{{Endpoint: "resource metadata", Path: path, Key: key, Shared: true}}
	},
}

func newResource(b *base, _ *Kind) auth.Flow {
	if route := routeAt(b.view, b.Base); route.On {
		return newMCPResource(b, route)
	}
	m := of[ResourceSettings](b.view).ProtectedResourceMetadata
	body := resourceDocument(b.view, m.Resource, m.AuthorizationServers, m.ScopesSupported)
	return &resource{paths: []string{m.Path()}, body: func(*auth.Request) []byte { return body }}
}

// newMCPResource returns the metadata of an MCP server, whose identifiers follow from the request.
func newMCPResource(b *base, route *mcp.Route) *resource {
	return &resource{paths: route.MetadataPaths(), body: func(r *auth.Request) []byte {
		servers := b.userIssuers
		if route.ByGate() {
			servers = []string{route.IssuerURL(r)}
		}
		return resourceDocument(b.view, route.URL(r), servers, route.Scopes)
	}}
}

// resourceDocument returns the metadata of a resource.
func resourceDocument(v view, resource string, servers, scopes []string) []byte {
	document := map[string]any{
		"resource": resource, "authorization_servers": servers, "bearer_methods_supported": bearerMethods(of[BearerSettings](v)),
	}
	of[BindingSettings](v).addMetadata(document)
	if len(scopes) > 0 {
		document["scopes_supported"] = scopes
	}
	body, err := json.Marshal(document)
	if err != nil {
		panic(err) // strings only
	}
	return append(body, '\n')
}

// bearerMethods returns where access tokens are read from, in the words of RFC 9728 §2.
func bearerMethods(s *BearerSettings) []string {
	methods := []string{}
	for _, in := range s.BearerTokenParamType {
		if in != string(auth.InCookie) {
			methods = append(methods, in)
		}
	}
	return methods
}

// Authenticate finds no credential.
func (f *resource) Authenticate(*auth.Request) (*auth.Result, error) {
	return nil, auth.ErrNoCredential
}

func (f *resource) Endpoints() (all []auth.Endpoint) {
	for _, path := range f.paths {
		all = append(all, auth.Endpoint{Name: "resource metadata", Path: path, Serve: f.serve})
	}
	return all
}

// serve returns the metadata to scripts of any origin: it is public, and clients in browsers need it.
func (f *resource) serve(r *auth.Request) (*auth.Result, error) {
	methods := []string{http.MethodGet, http.MethodHead}
	switch {
	case r.Method == http.MethodOptions:
		return mcp.AnyOrigin.Preflight(methods), nil
	case !slices.Contains(methods, r.Method):
		return nil, methodNotAllowed(strings.Join(methods, ", "))
	}
	return mcp.AnyOrigin.Allow(&auth.Result{Answer: &auth.Answer{Status: http.StatusOK, Body: f.body(r), Header: http.Header{
		"Content-Type": {"application/json"}, "Cache-Control": {"no-store"},
	}}}, nil)
}

// checkResource reports mistakes in protected_resource_metadata (RFC 9728 §1.2, §2).
func checkResource(v view, c check.Checker, _ *kindContext) {
	const key = "protected_resource_metadata."
	m := of[ResourceSettings](v).ProtectedResourceMetadata
	if m == nil {
		return
	}
	c.One(key+"resource", m.Resource, func(text string) error {
		u, err := check.ParseURL(text, "https", "http")
		switch {
		case err != nil:
			return err
		case u.Fragment != "" || u.RawQuery != "":
			return errors.New("a resource here can't have a query or a fragment: write it up to the ? or #")
		case u.Scheme == "http" && !auth.Loopback(text):
			return errors.New("a resource is reached by https: write https://")
		}
		return nil
	})
	c.Each(key+"authorization_servers", m.AuthorizationServers, func(text string) error { return check.URL(text, "https", "http") })
	c.Each(key+"scopes_supported", m.ScopesSupported, check.Scope)
	c.One(key+"metadata_endpoint", m.MetadataEndpoint, check.Path)
}
