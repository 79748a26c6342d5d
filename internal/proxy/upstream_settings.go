package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/balance"
	"sallyport/internal/check"
)

// BalanceSettings are the settings of an upstream about its targets: which there are, which of them get requests, and how they are checked.
type BalanceSettings struct {
	Targets       []TargetSettings `yaml:"targets" min:"1"`
	LoadBalancing string           `yaml:"load_balancing" default:"round_robin" enum:"round_robin,least_connections,client_address,cookie"`

	// MaxFails failures in a row eject a target for EjectTime, and for twice as long each further time. 0 is off.
	MaxFails  int           `yaml:"max_fails" default:"3"`
	EjectTime time.Duration `yaml:"eject_time" default:"10s" min:"1ms"`
	SlowStart time.Duration `yaml:"slow_start" default:"0"` // how long a target's share grows after its return; 0 is off

	Health *HealthSettings `yaml:"health"` // nil: the gate sends no requests of its own
}

// TargetSettings are the settings of one target. A scalar is the URL.
type TargetSettings struct {
	URL    string `yaml:"url" scalar:"true" required:"true"`
	Weight int    `yaml:"weight" default:"1" min:"1" max:"1000"`
}

// HealthSettings are the settings of active health checks. A scalar is the path.
type HealthSettings struct {
	Path      string        `yaml:"path" scalar:"true" required:"true"`
	Interval  time.Duration `yaml:"interval" default:"10s" min:"10ms"`
	Timeout   time.Duration `yaml:"timeout" default:"2s" min:"1ms"`
	Healthy   int           `yaml:"healthy" default:"2" min:"1"`   // passed checks in a row that make a target healthy
	Unhealthy int           `yaml:"unhealthy" default:"3" min:"1"` // failed checks in a row that make a target unhealthy
	Status    []string      `yaml:"status" default:"[200-399]" min:"1"`
}

// all returns the targets of an upstream: those of targets, or the one of url.
func (s *UpstreamSettings) all() []TargetSettings {
	if len(s.Targets) > 0 {
		return s.Targets
	}
	return []TargetSettings{{URL: s.URL, Weight: 1}}
}

// scheme returns the scheme of the upstream's targets: http, https, h2c or unix.
func (s *UpstreamSettings) scheme() string {
	scheme, _, _ := strings.Cut(s.all()[0].URL, ":")
	return scheme
}

// checkTargets reports what is wrong with url, targets and the settings about them.
func (s *UpstreamSettings) checkTargets(c check.Checker) {
	switch {
	case s.URL == "" && len(s.Targets) == 0:
		if c.IsSet("upstream") && !c.IsBad("upstream") {
			c.Complain("upstream", "it has no address: write url: http://app:8080, or targets: [http://a:8080, http://b:8080]")
		}
	case s.URL != "" && len(s.Targets) > 0:
		c.Complain("upstream.url", "targets says where the upstream is: take url out, or make it one of the targets")
	case len(s.Targets) == 0:
		c.One("upstream.url", s.URL, checkTarget)
		s.checkSingle(c)
	}
	first := map[string]bool{}
	for n, t := range s.Targets {
		key := fmt.Sprintf("upstream.targets[%d].url", n)
		c.One(key, t.URL, checkTarget)
		c.Must(key, !first[t.URL], "%s is written twice: write it once, with a weight", check.Quote(t.URL))
		first[t.URL] = true
		c.Must(key, sameKind(s.Targets[0].URL, t.URL), "%s differs from the first target in its scheme or its path: "+
			"all targets of an upstream must have the same ones", check.Quote(t.URL))
	}
	hashes := s.LoadBalancing == balance.ClientAddress || s.LoadBalancing == balance.Cookie
	c.Must("upstream.slow_start", s.SlowStart == 0 || !hashes,
		"with load_balancing: %s a client stays at its target, so no share can grow slowly: take it out", s.LoadBalancing)
	s.checkHealth(c)
}

// checkSingle complains about settings that have no effect on an upstream with one target.
func (s *UpstreamSettings) checkSingle(c check.Checker) {
	for _, key := range []string{"load_balancing", "max_fails", "eject_time", "slow_start"} {
		c.Must("upstream."+key, !c.IsSet("upstream."+key), "it has no effect on an upstream with one address: "+
			"write targets: [http://a:8080, http://b:8080] in place of url, or take it out")
	}
}

// checkTarget checks the address of a target.
func checkTarget(text string) error {
	socket, isUnix := strings.CutPrefix(text, "unix:")
	switch {
	case !isUnix:
		return check.URL(text, "http", "https", "h2c")
	case !strings.HasPrefix(socket, "/") || strings.HasPrefix(socket, "//") || path.Clean(socket) != socket:
		return errors.New("the path of a Unix socket is absolute and plain: write unix:/run/app.sock")
	case len(socket) > 107: // sun_path of Linux, unix(7)
		return errors.New("the path of a Unix socket has at most 107 bytes")
	}
	return nil
}

// sameKind reports whether two targets have the same scheme and the same path, so that a request for one can be sent to the other. A Unix
// socket is like http:// without a path.
func sameKind(a, b string) bool {
	x, err := parseTarget(a)
	y, errB := parseTarget(b)
	if err != nil || errB != nil {
		return true // reported already
	}
	return x.Scheme == y.Scheme && strings.TrimSuffix(x.EscapedPath(), "/") == strings.TrimSuffix(y.EscapedPath(), "/")
}

// parseTarget returns the URL of a target. That of a Unix socket has no host.
func parseTarget(text string) (*url.URL, error) {
	if strings.HasPrefix(text, "unix:") {
		return &url.URL{Scheme: "http"}, nil
	}
	return url.Parse(text)
}

// checkHealth reports what is wrong with the settings of the active health checks.
func (s *UpstreamSettings) checkHealth(c check.Checker) {
	if s.Health == nil {
		return
	}
	c.One("upstream.health.path", s.Health.Path, func(text string) error {
		u, err := url.Parse(text)
		if err != nil || !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || u.Fragment != "" {
			return errors.New("expected a path such as /healthz")
		}
		return nil
	})
	c.Each("upstream.health.status", s.Health.Status, func(text string) error {
		_, _, err := statusRange(text)
		return err
	})
}

// statusRange parses a status or a range of them, such as 200-399.
func statusRange(text string) (from, to int, err error) {
	low, high, _ := strings.Cut(text, "-")
	from, err = strconv.Atoi(low)
	to, errHigh := strconv.Atoi(cmp.Or(high, low))
	if err != nil || errHigh != nil || from < 200 || to > 599 || from > to || strings.HasSuffix(text, "-") {
		return 0, 0, errors.New("expected a status from 200 to 599 or a range of them: write 200 or 200-399")
	}
	return from, to, nil
}
