package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A driver is the Node.js process that controls the Chromium of a run. See browser/driver.mjs.
type driver struct {
	proc  *process
	log   *logBuffer
	mu    sync.Mutex
	stdin io.WriteCloser
	last  int
	waits map[int]chan driverReply
}

type driverReply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

const stepLimit = 40 * time.Second // for a command; the driver's own limit is 30 s

func startDriver(dir string) (*driver, error) {
	temp := filepath.Join(dir, "chromium")
	if err := os.Mkdir(temp, 0o700); err != nil {
		return nil, err
	}
	executable, err := exec.LookPath("chromium")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("node", filepath.Join(root, "internal/e2e/browser/driver.mjs"), filepath.Join(root, ".cache/node"), executable)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "HOME="+temp)
	d := &driver{log: &logBuffer{}, waits: map[int]chan driverReply{}}
	cmd.Stderr = d.log
	out, in := io.Pipe()
	cmd.Stdout = in
	if d.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	started := d.wait(0)
	if d.proc, err = begin(cmd); err != nil {
		return nil, err
	}
	go d.read(out)
	go func() { <-d.proc.ended; in.Close() }()
	if err := d.reply(started, 90*time.Second, nil); err != nil {
		d.stop()
		return nil, fmt.Errorf("Chromium doesn't start: %w\n%s", err, d.log)
	}
	return d, nil
}

// stop lets Chromium exit normally, so that it removes its profile, and kills it otherwise.
func (d *driver) stop() {
	if d == nil {
		return
	}
	d.stdin.Close()
	select {
	case <-d.proc.ended:
	case <-time.After(10 * time.Second):
	}
	d.proc.kill()
}

func (d *driver) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r driverReply
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue
		}
		d.mu.Lock()
		if c := d.waits[r.ID]; c != nil {
			c <- r
			delete(d.waits, r.ID)
		}
		d.mu.Unlock()
	}
}

// wait returns the channel that receives the reply to a command.
func (d *driver) wait(id int) chan driverReply {
	c := make(chan driverReply, 1)
	d.waits[id] = c
	return c
}

func (d *driver) reply(c chan driverReply, limit time.Duration, result any) error {
	select {
	case r := <-c:
		if r.Error != "" {
			return errors.New(r.Error)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(r.Result, result)
	case <-d.proc.ended:
		return fmt.Errorf("the driver ended: %v\n%s", d.proc.status, d.log)
	case <-time.After(limit):
		return fmt.Errorf("no answer in %v", limit)
	}
}

// command sends a command to a target (a context or page; 0 for none) and decodes the result.
func (d *driver) command(target int, do string, args map[string]any, result any) error {
	d.mu.Lock()
	d.last++
	c := d.wait(d.last)
	line := map[string]any{"id": d.last, "do": do, "target": target}
	for k, v := range args {
		line[k] = v
	}
	err := json.NewEncoder(d.stdin).Encode(line)
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", do, err)
	}
	if err := d.reply(c, stepLimit, result); err != nil {
		return fmt.Errorf("%s %v: %w", do, args, err)
	}
	return nil
}

// A handle is a browser context or a page of the driver.
type handle struct {
	t  *testing.T
	id int
}

func (h *handle) must(do string, args map[string]any, result any) {
	h.t.Helper()
	if err := chromium.command(h.id, do, args, result); err != nil {
		h.t.Fatal(err)
	}
}

// A person is a browser context with its own cookies.
type person struct{ handle }

// newPerson opens a browser context. Its cookies and codes must not appear in the logs of gates.
func newPerson(t *testing.T, gates ...*gate) *person {
	t.Helper()
	return newPersonWith(t, nil, gates...)
}

// newPersonWith is like newPerson, with options of the browser context such as {"script": false}.
func newPersonWith(t *testing.T, kind args, gates ...*gate) *person {
	t.Helper()
	p := &person{handle{t: t}}
	p.must("newContext", kind, &p.id)
	t.Cleanup(func() {
		for _, g := range gates {
			p.registerSecrets(g)
		}
		if err := chromium.command(p.id, "closeContext", nil, nil); err != nil {
			t.Error(err)
		}
	})
	return p
}

type browserCookie struct {
	Name, Value, Path, SameSite string
	Secure, HTTPOnly            bool
}

func (p *person) cookies() (all []browserCookie) {
	p.t.Helper()
	p.must("cookies", nil, &all)
	return all
}

// registerSecrets registers the browser's cookies and codes as secrets of the gate.
func (p *person) registerSecrets(g *gate) {
	var cookies []browserCookie
	var requested []string
	if err := errors.Join(chromium.command(p.id, "cookies", nil, &cookies),
		chromium.command(p.id, "requested", nil, &requested)); err != nil {
		p.t.Error(err)
	}
	for _, c := range cookies {
		g.registerSecrets(c.Value)
	}
	for _, address := range requested {
		if u, err := url.Parse(address); err == nil {
			g.registerSecrets(u.Query().Get("code"))
		}
	}
}

// requested returns all URLs that the browser has requested, in order.
func (p *person) requested() (all []string) {
	p.t.Helper()
	p.must("requested", nil, &all)
	return all
}

// A page is one tab.
type page struct{ handle }

func (p *person) newPage() *page {
	p.t.Helper()
	tab := &page{handle{t: p.t}}
	p.must("newPage", nil, &tab.id)
	return tab
}

type args = map[string]any

func (p *page) open(url string) { p.t.Helper(); p.must("goto", args{"url": url}, nil) }
func (p *page) fill(selector, text string) {
	p.t.Helper()
	p.must("fill", args{"selector": selector, "text": text}, nil)
}
func (p *page) click(selector string) { p.t.Helper(); p.must("click", args{"selector": selector}, nil) }
func (p *page) waitFor(selector string) {
	p.t.Helper()
	p.must("waitFor", args{"selector": selector}, nil)
}
func (p *page) waitURL(url string) { p.t.Helper(); p.must("waitURL", args{"url": url}, nil) }
func (p *page) url() (s string)    { p.t.Helper(); p.must("url", nil, &s); return s }
func (p *page) status() (n int)    { p.t.Helper(); p.must("status", nil, &n); return n }

func (p *page) text(selector string) (s string) {
	p.t.Helper()
	p.must("text", args{"selector": selector}, &s)
	return s
}

// submit fills in and submits Keycloak's login form.
func (p *page) submit(user, password string) {
	p.t.Helper()
	p.fill("#username", user)
	p.fill("#password", password)
	p.click("#kc-login")
}

// logIn opens a URL, logs in at Keycloak, and waits until the browser returns to the URL.
func (p *page) logIn(url, user string) {
	p.t.Helper()
	p.open(url)
	p.submit(user, "doe")
	p.waitURL(url)
}

// shoot saves screenshots of the page, wide and narrow, light and dark. A page that is wider than its window fails the test.
func (p *page) shoot(name string) {
	p.t.Helper()
	for _, width := range []int{1280, 390} {
		for scheme, dark := range map[string]bool{"light": false, "dark": true} {
			file := filepath.Join(screenshots, fmt.Sprintf("%s-%d-%s.png", name, width, scheme))
			var scroll int
			p.must("screenshot", args{"path": file, "width": width, "height": 800, "dark": dark}, &scroll)
			if scroll > width {
				p.t.Errorf("%s: the page is %d px wide in a window of %d", file, scroll, width)
			}
		}
	}
}
