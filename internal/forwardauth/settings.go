// Package forwardauth answers other proxies that ask whether a request may pass, and then forward it themselves. Each kind of proxy
// describes the request in its own way and takes the answer in its own way: see dialects.
package forwardauth

import "sallyport/internal/check"

// Settings are the settings of a listener whose clients are proxies that ask. A scalar is the kind of proxy.
type Settings struct {
	Proxy string `yaml:"proxy" scalar:"true" required:"true" enum:"nginx,traefik,caddy,haproxy,envoy,envoy_grpc,oauth2_proxy"`

	// Path is the path of the questions. For envoy it is the prefix that Envoy adds to the path of the client's request (path_prefix).
	Path string `yaml:"path" default:"/_sallyport/ask"`
}

// Check reports mistakes in the settings. key is the key of the settings.
func (s *Settings) Check(c check.Checker, key string) {
	c.Must(key+".path", s.Proxy != "oauth2_proxy" || !c.IsSet(key+".path"),
		"the paths of oauth2-proxy are /oauth2/auth, /oauth2/start, /oauth2/sign_in and /oauth2/sign_out: take it out")
	c.One(key+".path", s.Path, check.Path)
	c.Must(key+".path", s.Path != "/", "every path begins with it: write a path that no client asks for, such as /_sallyport/ask")
}
