package telemetry

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	alertRules = "../../deploy/prometheus"
	dashboard  = "../../deploy/grafana/sallyport.json"
)

// promtool runs promtool, which internal/e2e/parts.sh installs.
func promtool(t *testing.T, dir, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v (make parts installs it)\n%s", args, err, out)
	}
}

// TestAlerts lets promtool check the alert rules, and run their tests.
func TestAlerts(t *testing.T) {
	promtool(t, alertRules, "", "check", "rules", "alerts.yaml")
	promtool(t, alertRules, "", "test", "rules", "alerts_test.yaml")
	rules, err := os.ReadFile(alertRules + "/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	mustKnow(t, string(rules))
	tests, err := os.ReadFile(alertRules + "/alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		if !regexp.MustCompile(`alertname: ` + name[1] + `\n\s+exp_alerts:\n`).Match(tests) {
			t.Errorf("no test of alerts_test.yaml shows the alert %s", name[1])
		}
	}
}

// TestDashboard checks that the dashboard's expressions can be parsed, and that the gate has their metrics.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	rules, n := "groups:\n  - name: dashboard\n    rules:\n", 0
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			n++
			mustKnow(t, target.Expr)
			expression, _ := json.Marshal(strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")) // a string can't fail
			rules += fmt.Sprintf("      - {record: panel_%d, expr: %s}\n", n, expression)
		}
	}
	name := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(name, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "", "check", "rules", name)
	if n < 20 {
		t.Errorf("the dashboard has %d expressions", n)
	}
}

// mustKnow checks that the gate has all of its metrics that a text names.
func mustKnow(t *testing.T, text string) {
	t.Helper()
	made := madeMetrics()
	for _, name := range regexp.MustCompile(`\bsallyport_\w+`).FindAllString(text, -1) {
		if _, found := made[strings.TrimSuffix(name, "_bucket")]; !found {
			t.Errorf("there is no metric %s", name)
		}
	}
}

// TestScrape lets promtool read the gate's metrics, and judge their names.
func TestScrape(t *testing.T) {
	m := New()
	m.SetBuild("1", "abc")
	m.Loaded(time.Unix(1, 0))
	m.Route("app").Record(Request{Flow: "bearer", Status: 200, Own: time.Millisecond, Upstream: time.Millisecond})
	m.Cache("tokens").Found(true)
	m.Refreshes().Won()
	_, call := m.Issuer("https://idp").Call("token", mustRequest(t))
	call.End(200, nil)
	m.Watch(func() State { return State{Sessions: 1, Parts: []Part{{Class: "redis"}}} })
	var own strings.Builder
	for line := range strings.Lines(scrape(t, m, false)) {
		if strings.Contains(line, "sallyport_") {
			own.WriteString(line)
		}
	}
	promtool(t, "", own.String(), "check", "metrics")
}
