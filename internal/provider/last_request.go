package provider

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// A lastRequest is what a test may look at after the fact.
type lastRequest struct {
	form   url.Values
	header http.Header
}

// LastForm is the last request's parameters, of its query and its body together; nil if there was no request. It is the
// caller's own.
func (p *Provider) LastForm(e Endpoint) url.Values {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	return cloneValues(p.controls.last[e].form)
}

// LastHeader is the last request's header; nil if there was no request. It is the caller's own.
func (p *Provider) LastHeader(e Endpoint) http.Header {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	return p.controls.last[e].header.Clone()
}

func cloneValues(v url.Values) url.Values {
	c := maps.Clone(v)
	for name := range c {
		c[name] = slices.Clone(c[name])
	}
	return c
}
