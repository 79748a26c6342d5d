package flow

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/check"
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

const wellKnownResource = "/.well-known/oauth-protected-resource"

// Path returns the path of the metadata: by default /.well-known/oauth-protected-resource, followed by the path of the
// resource (RFC 9728 §3.1).
func (m *ResourceMetadata) Path() string {
	if m.MetadataEndpoint != "" {
		return m.MetadataEndpoint
	}
	u, err := url.Parse(m.Resource)
	if err != nil {
		return wellKnownResource
	}
	return wellKnownResource + strings.TrimSuffix(u.Path, "/")
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
	path string
	body []byte
}

// resourceKind is on if protected_resource_metadata is set. Settings do not name it.
var resourceKind = Kind{
	new: newResource, role: rolePublish, check: checkResource,
	isOn: func(v view) bool { return of[ResourceSettings](v).ProtectedResourceMetadata != nil },
	paths: func(v view, _ string) []OwnPath {
		const key = "protected_resource_metadata"
		path := of[ResourceSettings](v).ProtectedResourceMetadata.Path()
		return []OwnPath{{Endpoint: "resource metadata", Path: path, Key: key, Shared: true}}
	},
}

func newResource(b *base, _ *Kind) auth.Flow {
	m := of[ResourceSettings](b.view).ProtectedResourceMetadata
	document := map[string]any{
		"resource": m.Resource, "authorization_servers": m.AuthorizationServers,
		"bearer_methods_supported": bearerMethods(of[BearerSettings](b.view)),
	}
	of[BindingSettings](b.view).addMetadata(document)
	if len(m.ScopesSupported) > 0 {
		document["scopes_supported"] = m.ScopesSupported
	}
	body, err := json.Marshal(document)
	if err != nil {
		panic(err) // strings only
	}
	return &resource{path: m.Path(), body: append(body, '\n')}
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

func (f *resource) Endpoints() []auth.Endpoint {
	return []auth.Endpoint{{Name: "resource metadata", Path: f.path, Serve: f.serve}}
}

// serve returns the metadata to scripts of any origin: it is public, and clients in browsers need it.
func (f *resource) serve(r *auth.Request) (*auth.Result, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, methodNotAllowed("GET, HEAD")
	}
	return &auth.Result{Answer: &auth.Answer{Status: http.StatusOK, Body: f.body, Header: http.Header{
		"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Access-Control-Allow-Origin": {"*"},
	}}}, nil
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
