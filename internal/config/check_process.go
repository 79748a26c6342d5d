package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/strict"
)

// checkProcess checks the settings of the process.
func (l *loader) checkProcess() {
	b, f := l.process, l.file
	taken := map[string]string{}
	for i, listen := range f.Listen {
		key := fmt.Sprintf("listen[%d]", i)
		address(b, key+".address", listen.Address, taken)
		if listen.TLS != nil {
			listen.TLS.check(b.Checker(), key+".tls")
		}
		b.Checker().Must(key+".proxy_protocol", !listen.ProxyProtocol || len(f.TrustedProxies) > 0,
			"it needs trusted_proxies: only those proxies may say where a client is; write their addresses")
	}
	l.checkACME()
	if f.Admin.Listen != "off" {
		address(b, "admin.listen", f.Admin.Listen, taken)
	}
	l.checkAudit()
	f.OwnPages = pages(b, "pages", f.Pages)
	checkProcessTexts(b, f)
	for i, p := range f.TrustedProxies {
		if p.IsValid() && p.Bits() == 0 {
			b.Warn(fmt.Sprintf("trusted_proxies[%d]", i), "%s lets every client choose its address with X-Forwarded-For", p)
		}
	}
}

// address checks a listener's host:port, and that taken doesn't have it. Then it adds it to taken, which has keys by address. Port 0 is any
// free port.
func address(b *strict.Block, key, text string, taken map[string]string) {
	if text == "" {
		return // missing, and reported
	}
	_, port, err := net.SplitHostPort(text)
	n, errPort := strconv.Atoi(port)
	switch {
	case strings.HasPrefix(text, "*:"):
		b.Complain(key, "%s: for all addresses the host is empty: write :%s", check.Quote(text), port)
	case err != nil || errPort != nil || n < 0 || n > 65535 || strings.Contains(text, "/"):
		b.Complain(key, "expected host:port such as 127.0.0.1:8000 or :8443, got %s", check.Quote(text))
	case n == 0:
	case taken[text] != "":
		b.Complain(key, "%s is taken by %s: choose another port", text, taken[text])
	default:
		taken[text] = check.KeyName(key)
	}
}
