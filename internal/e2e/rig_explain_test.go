package e2e

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A ruling is a request with the expected decision of the running gate and of sallyport explain.
type ruling struct {
	method string // default: GET
	host   string // default: the gate's host, 127.0.0.1
	path   string // with its query
	who    string // the user or client of the token; empty for no token
	header []string
	status int
	reason string // of a rejection, or "a login begins"
}

// mustRule checks the decision of the gate and of sallyport explain for a ruling. It returns the gate's response.
func (g *gate) mustRule(t *testing.T, v *visitor, c ruling, token string) answer {
	t.Helper()
	method := cmp.Or(c.method, http.MethodGet)
	header := c.header
	if token != "" {
		header = append(header[:len(header):len(header)], "Authorization", "Bearer "+token)
	}
	r := v.request(method, g.url+c.path, "", header...)
	r.Host = cmp.Or(c.host, r.Host)
	a := v.must(r)
	x := g.mustExplain(t, method, "http://"+r.Host+c.path, c.header, token)
	var logged string
	switch {
	case c.status != http.StatusOK && c.status != http.StatusFound:
		l := g.mustLine(t, a)
		logged = l.text("reason")
		if rule := l.text("rule"); !strings.Contains(x.text, rule) {
			t.Errorf("%+v: the log says the rule is %s, and explain says otherwise:\n%s", c, rule, x.text)
		}
		if strings.Contains(a.body, logged) {
			t.Errorf("%+v: the answer tells the reason: %s", c, a.body)
		}
	case c.status == http.StatusFound:
		logged = "a login begins"
	}
	if a.status != c.status || logged != c.reason {
		t.Errorf("%+v: answered %d, the log's reason is %q: %s", c, a.status, logged, a.body)
	}
	if passes := c.status == http.StatusOK; x.passes != passes || x.reason != logged {
		t.Errorf("%+v: answered %d for %q, and explain says:\n%s", c, a.status, logged, x.text)
	}
	return a
}

// An explanation is the result of sallyport explain.
type explanation struct {
	passes bool // the exit status was 0
	reason string
	text   string
}

var refusedFor = regexp.MustCompile(`(?m)^refused: \d+ (a login begins|[a-z_]+)`)

// mustExplain runs sallyport explain for a request, with the gate's configuration.
func (g *gate) mustExplain(t *testing.T, method, address string, header []string, token string) explanation {
	t.Helper()
	args := []string{"explain", "-c", g.file, "-request", method + " " + address}
	for i := 0; i+1 < len(header); i += 2 {
		args = append(args, "-header", header[i]+": "+header[i+1])
	}
	if token != "" {
		args = append(args, "-token", "-")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdin = strings.NewReader(token)
	out, err := cmd.CombinedOutput()
	x := explanation{passes: err == nil, text: string(out)}
	var status *exec.ExitError
	if err != nil && (!errors.As(err, &status) || status.ExitCode() != 1) {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	if m := refusedFor.FindStringSubmatch(x.text); m != nil {
		x.reason = m[1]
	}
	if x.passes != strings.Contains(x.text, "\npasses: ") || x.passes == (x.reason != "") {
		t.Errorf("%v: exit 0 is %v, and it wrote:\n%s", args, x.passes, x.text)
	}
	return x
}
