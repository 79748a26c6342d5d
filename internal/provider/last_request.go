package provider

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// A lastRequest is the last request to an endpoint.
type lastRequest struct {
	form   url.Values
	header http.Header
}

// LastForm returns a copy of the parameters of the last request to an endpoint, from its query and its body. It returns nil
// before the first request.
func (p *Provider) LastForm(e Endpoint) url.Values {
	p.controls.mu.Lock()
	defer p.controls.mu.Unlock()
	return cloneValues(p.controls.last[e].form)
}

// LastHeader returns a copy of the header of the last request to an endpoint, or nil before the first request.
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
