package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

const nginxConfig = `
daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr warn;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen 127.0.0.1:%[2]d ssl;
		ssl_certificate %[3]s;
		ssl_certificate_key %[4]s;
		location = /nginx-is-up { return 204; }
		location / {
			proxy_pass %[5]s;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Forwarded-Host $http_host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		}
	}
}
`

// startNginx starts an nginx that terminates TLS in front of a server, and returns its https origin.
func startNginx(t *testing.T, behind string) string {
	t.Helper()
	dir, port, log := t.TempDir(), freeport.Port(), &logBuffer{}
	certFile, keyFile := testCA.mustServerPair(t)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxConfig, dir, port, certFile, keyFile, behind), 0o600); err != nil {
		t.Fatal(err)
	}
	nginx, err := startProcess(log, nil, "nginx", "-p", dir, "-c", file, "-e", "stderr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nginx.kill)
	origin := fmt.Sprintf("https://127.0.0.1:%d", port)
	v := newVisitor(t)
	up := func() bool {
		a, err := v.do(v.request(http.MethodGet, origin+"/nginx-is-up", ""))
		return err == nil && a.status == http.StatusNoContent
	}
	if !await(20*time.Second, func() bool { return up() || !nginx.running() }) || !nginx.running() {
		t.Fatalf("nginx isn't up; it wrote:\n%s", log)
	}
	return origin
}
