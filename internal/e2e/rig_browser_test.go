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

// A driver is the node process that drives one Chromium for the whole run. See browser/driver.mjs.
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

const stepLimit = 40 * time.Second // of one command; the driver itself gives up after 30

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

// stop ends Chromium the polite way first, so that it removes its profile.
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

// wait registers for the reply of a command.
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

// command sends one command to the target (a context or page; 0 for none) and decodes its result.
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

// A handle is something that the driver keeps for a test: a browser context or a page.
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

// A person is one browser with its own cookies.
type person struct{ handle }

// newPerson opens a browser. What it sees of cookies and codes must not be in the gates' logs.
func newPerson(t *testing.T, gates ...*gate) *person {
	t.Helper()
	return newPersonWith(t, nil, gates...)
}

// newPersonWith is newPerson with a browser of another kind, such as {"script": false}.
func newPersonWith(t *testing.T, kind args, gates ...*gate) *person {
	t.Helper()
	p := &person{handle{t: t}}
	p.must("newContext", kind, &p.id)
	t.Cleanup(func() {
		for _, g := range gates {
			p.plant(g)
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

// plant registers this browser's cookies and codes as what must not be in the gate's log.
func (p *person) plant(g *gate) {
	var cookies []browserCookie
	var requested []string
	if err := errors.Join(chromium.command(p.id, "cookies", nil, &cookies), chromium.command(p.id, "requested", nil, &requested)); err != nil {
		p.t.Error(err)
	}
	for _, c := range cookies {
		g.plant(c.Value)
	}
	for _, address := range requested {
		if u, err := url.Parse(address); err == nil {
			g.plant(u.Query().Get("code"))
		}
	}
}

// requested lists every address that the browser asked for, in order.
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

// submit fills in Keycloak's login form.
func (p *page) submit(user, password string) {
	p.t.Helper()
	p.fill("#username", user)
	p.fill("#password", password)
	p.click("#kc-login")
}

// logIn opens an address, logs in at Keycloak, and waits until the browser is at the address.
func (p *page) logIn(url, user string) {
	p.t.Helper()
	p.open(url)
	p.submit(user, "doe")
	p.waitURL(url)
}

// shoot keeps the page as it looks wide and narrow, light and dark. A page that is wider than its window is a failure.
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
