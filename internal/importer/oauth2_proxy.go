package importer

import (
	"errors"
	"net/url"

	"sallyport/internal/strict"
)

// oauth2Proxy imports a deployment of oauth2-proxy: its configuration file, the alpha configuration, flags and environment variables.
func oauth2Proxy(sources []Source) (*Result, error) {
	d := &o2pDeployment{o2pOptions: newO2POptions(), Result: NewResult()}
	for _, s := range sources {
		if err := d.read(s); err != nil {
			return nil, err
		}
	}
	if len(d.settings) == 0 && len(d.upstreams) == 0 {
		return nil, errors.New("no option of oauth2-proxy was found: name its configuration file, the alpha configuration, " +
			"a file with OAUTH2_PROXY_* variables, a compose or Kubernetes file, or write flags after --")
	}
	if err := d.convert(); err != nil {
		return nil, err
	}
	return d.Result, nil
}

// A o2pDeployment is a deployment of oauth2-proxy while it is imported.
type o2pDeployment struct {
	*o2pOptions
	*Result
	upstreams       []o2pUpstream
	requestHeaders  []o2pHeader
	responseHeaders []o2pHeader
	alpha           bool // upstreams and headers are those of an alpha configuration
	emails          map[string][]string
	oidc            *Mapping
	sets            claimSets
	access          string // the expression that a logged-in user must satisfy; "" is every user
}

// A o2pUpstream is an upstream as the alpha configuration writes it.
type o2pUpstream struct {
	path, rewrite, uri string
	static             bool
	staticCode         string
	insecure           bool
	ownHost            bool // the upstream receives its own host
	noKeepAlive        bool
	timeout            string
	place              strict.Mark
}

// A o2pHeader is a header that a request or response gets.
type o2pHeader struct {
	name, claim, prefix string
	secret              bool // a fixed value, or Basic with a password
	place               strict.Mark
}

// convert makes the result from what was read.
func (d *o2pDeployment) convert() error {
	d.oidc = NewMapping()
	if !d.alpha {
		d.legacyUpstreams()
	}
	d.setListeners()
	if err := d.setProvider(); err != nil {
		return err
	}
	d.setAccess()
	d.setBearer()
	d.setSession()
	if !d.alpha {
		d.legacyHeaders()
	}
	if d.asksOnly() {
		d.setForwardAuth()
	} else {
		d.setRoutes()
	}
	d.Process.Set("oidc", d.oidc)
	d.noteRest()
	return nil
}

// asksOnly reports whether a proxy asks oauth2-proxy about each request: it has no upstream, or only static responses.
func (d *o2pDeployment) asksOnly() bool {
	for _, u := range d.upstreams {
		if !u.static {
			return false
		}
	}
	return true
}

// publicOrigin returns the origin of redirect_url, or "".
func (d *o2pDeployment) publicOrigin() *url.URL {
	u, err := url.Parse(d.text("redirect_url"))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil
	}
	return u
}
