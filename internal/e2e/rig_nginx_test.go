package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// nginxCommand writes a configuration of nginx, with what stands in http { }, to a folder. It returns the command that runs nginx with it.
func nginxCommand(t *testing.T, dir, inHTTP string) []string {
	t.Helper()
	file := mustWrite(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`
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
	%[2]s
}
`, dir, inHTTP))
	return []string{"nginx", "-p", dir, "-c", file, "-e", "stderr"}
}

// runNginx runs nginx, with what stands in http { }, until the test ends. It waits until up reports that nginx answers.
func runNginx(t *testing.T, inHTTP string, up func() bool) {
	t.Helper()
	log := &logBuffer{}
	command := nginxCommand(t, t.TempDir(), inHTTP)
	nginx, err := startProcess(log, nil, command[0], command[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nginx.kill)
	if !await(20*time.Second, func() bool { return up() || !nginx.running() }) || !nginx.running() {
		t.Fatalf("nginx isn't up; it wrote:\n%s", log)
	}
}

const tlsServer = `
	server {
		listen 127.0.0.1:%[1]d ssl;
		ssl_certificate %[2]s;
		ssl_certificate_key %[3]s;
		location = /nginx-is-up { return 204; }
		location / {
			proxy_pass %[4]s;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Forwarded-Host $http_host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		}
	}
`

// startNginx starts an nginx that terminates TLS in front of a server, and returns its https origin.
func startNginx(t *testing.T, behind string) string {
	t.Helper()
	port := freeport.Port()
	certFile, keyFile := testCA.mustServerPair(t)
	origin := fmt.Sprintf("https://127.0.0.1:%d", port)
	v := newVisitor(t)
	runNginx(t, fmt.Sprintf(tlsServer, port, certFile, keyFile, behind), func() bool {
		a, err := v.do(v.request(http.MethodGet, origin+"/nginx-is-up", ""))
		return err == nil && a.status == http.StatusNoContent
	})
	return origin
}
