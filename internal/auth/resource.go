package auth

import (
	"net/url"
	"slices"
	"strings"
)

// A Resource is a route as clients of OAuth see it: a protected resource, and the authorization server that issues tokens for it. Only this
// type knows the identifiers of both, and where clients look for their metadata.
type Resource struct {
	Base   string // the route's first path
	Issuer string // the configured iss value; empty: the URL of the resource is the issuer's, too
	AtRoot bool   // the host has no other resource, so its metadata is at the root as well
}

const (
	wellKnownResource = "/.well-known/oauth-protected-resource"
	wellKnownServer   = "/.well-known/oauth-authorization-server"
	wellKnownOpenID   = "/.well-known/openid-configuration"
)

// Path returns the path of the resource, without a trailing slash.
func (s *Resource) Path() string { return strings.TrimSuffix(s.Base, "/") }

// URL returns the identifier of the resource (RFC 8707 §2, RFC 9728 §1.2).
func (s *Resource) URL(r *Request) string { return r.Origin + (&url.URL{Path: s.Path()}).EscapedPath() }

// IssuerURL returns the iss value (RFC 8414 §2).
func (s *Resource) IssuerURL(r *Request) string {
	if s.Issuer != "" {
		return s.Issuer
	}
	return s.URL(r)
}

// Audiences returns the audiences of the tokens that the authorization server issues for the resource.
func (s *Resource) Audiences(r *Request) []string { return []string{s.IssuerURL(r), s.URL(r)} }

// MetadataPaths returns the paths of the resource's metadata (RFC 9728 §3.1). The first is the one in challenges.
func (s *Resource) MetadataPaths() []string {
	paths := []string{wellKnownResource + s.Path()}
	if s.AtRoot && s.Path() != "" {
		paths = append(paths, wellKnownResource)
	}
	return paths
}

// MetadataURL returns the URL of the resource's metadata.
func (s *Resource) MetadataURL(r *Request) string {
	return r.Origin + (&url.URL{Path: s.MetadataPaths()[0]}).EscapedPath()
}

// ServerMetadataPaths returns the paths under which clients look for the metadata of the issuer: with its path at the end (RFC 8414 §3.1),
// and in the two ways in which OpenID Connect is found (RFC 8414 §5, OpenID Connect Discovery §4).
func (s *Resource) ServerMetadataPaths() []string {
	path := s.Path()
	if u, err := url.Parse(s.Issuer); err == nil && s.Issuer != "" {
		path = strings.TrimSuffix(u.Path, "/")
	}
	return slices.Compact([]string{wellKnownServer + path, wellKnownOpenID + path, path + wellKnownOpenID})
}
