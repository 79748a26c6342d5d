package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const imageName = "localhost/sallyport:test"

// A dockerImage is what buildah inspect says of an image in Docker's format.
type dockerImage struct {
	FromImageID string
	Docker      struct {
		Created      string
		OS           string
		Architecture string
		Config       struct {
			User        string
			Env         []string
			Cmd         []string
			Entrypoint  []string
			Healthcheck struct {
				Test                           []string
				Interval, Timeout, StartPeriod time.Duration
			}
			Labels map[string]string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
}

// TestImage builds the images of both architectures twice, reads them back, and runs the one for this machine with its health check.
func TestImage(t *testing.T) {
	first := mustImages(t)
	run := first[slices.IndexFunc(first, func(i dockerImage) bool { return i.Docker.Architecture == "amd64" })]
	t.Run("format", func(t *testing.T) {
		for _, i := range first {
			checkImage(t, i)
		}
	})
	t.Run("run", func(t *testing.T) { checkContainer(t, run) })
	second := mustImages(t)
	for i := range first { // the IDs differ: buildah writes the ID of its container into them
		first[i].FromImageID, second[i].FromImageID = "", ""
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("the second build gives\n%+v\nthe first\n%+v", second, first)
	}
}

// mustImages builds the images in a storage of their own, which CONTAINERS_STORAGE_CONF names from then on. It returns them, amd64 first.
func mustImages(t *testing.T) (images []dockerImage) {
	t.Helper()
	b, folder := mustBuild(t), t.TempDir()
	conf := fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", folder+"/graph", folder+"/run")
	if err := os.WriteFile(folder+"/storage.conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_STORAGE_CONF", folder+"/storage.conf")
	mustContain(t, "image.sh", mustRun(t, b.source, "deploy/release/image.sh", b.dist, imageName), "linux/amd64, linux/arm64, version 1.2.3\n")
	var list struct {
		MediaType string
		Manifests []struct {
			Digest   string
			Platform struct{ Architecture, OS string }
		}
	}
	mustParse(t, mustRun(t, folder, "buildah", "manifest", "inspect", imageName), &list)
	if !strings.HasPrefix(list.MediaType, "application/vnd.docker.distribution.manifest.list.") || len(list.Manifests) != 2 {
		t.Fatalf("expected a Docker manifest list of two images, got %+v", list)
	}
	for _, m := range list.Manifests {
		var image dockerImage
		mustParse(t, mustRun(t, folder, "buildah", "inspect", "--type", "image", "localhost/sallyport@"+m.Digest), &image)
		if image.Docker.Architecture != m.Platform.Architecture || m.Platform.OS != "linux" {
			t.Errorf("the list says %+v of an image for %s", m.Platform, image.Docker.Architecture)
		}
		images = append(images, image)
	}
	return images
}

// checkImage checks what an image says: user, commands, health check, labels and time.
func checkImage(t *testing.T, i dockerImage) {
	t.Helper()
	c, h := i.Docker.Config, i.Docker.Config.Healthcheck
	command := []string{"/sallyport", "health", "-c", "/etc/sallyport/sallyport.yaml"}
	if want := append([]string{"CMD"}, command...); !slices.Equal(h.Test, want) {
		t.Errorf("HEALTHCHECK is %q, expected %q", h.Test, want)
	}
	if h.Interval != 10*time.Second || h.Timeout != 5*time.Second || h.StartPeriod != 15*time.Second {
		t.Errorf("HEALTHCHECK every %v, timeout %v, start period %v", h.Interval, h.Timeout, h.StartPeriod)
	}
	if c.User != "65532:65532" || !slices.Equal(append(c.Entrypoint, c.Cmd...), []string{"/sallyport", "run", "-c", command[3]}) {
		t.Errorf("user %s runs %q %q", c.User, c.Entrypoint, c.Cmd)
	}
	const created = "2026-01-02T03:04:05Z"
	if i.Docker.Created != created || c.Labels["org.opencontainers.image.created"] != created {
		t.Errorf("created %s, label %q; expected the commit's time", i.Docker.Created, c.Labels["org.opencontainers.image.created"])
	}
	if c.Labels["org.opencontainers.image.version"] != "1.2.3" || c.Labels["org.opencontainers.image.licenses"] != "Apache-2.0" {
		t.Errorf("labels %q", c.Labels)
	}
}

var adminAddress = regexp.MustCompile(`"for":"admin","address":"([^"]*)"`)

// checkContainer runs the gate in a container of the image until the image's health check succeeds. The isolation is chroot, which works
// within other containers, too.
func checkContainer(t *testing.T, image dockerImage) {
	if len(image.Docker.Config.Healthcheck.Test) == 0 {
		t.Fatal("the image has no health check")
	}
	issuer := httptest.NewServer(http.HandlerFunc(serveMetadata))
	defer issuer.Close()
	folder := t.TempDir()
	container := strings.TrimSpace(mustRun(t, folder, "buildah", "from", "--quiet", image.FromImageID))
	defer exec.Command("buildah", "rm", container).Run()
	gate := exec.Command("buildah", "run", "--isolation", "chroot", "--env", "SALLYPORT_LISTEN=127.0.0.1:0",
		"--env", "SALLYPORT_ADMIN_LISTEN=127.0.0.1:0", "--env", "SALLYPORT_UPSTREAM="+issuer.URL, "--env", "SALLYPORT_ISSUER="+issuer.URL,
		"--env", "SALLYPORT_CLIENT_ID=app", container, "--", "/sallyport", "run")
	log, err := gate.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := gate.Start(); err != nil {
		t.Fatal(err)
	}
	defer gate.Wait()
	defer gate.Process.Signal(os.Interrupt)
	admin := mustFind(t, log, adminAddress)
	health := append([]string{"run", "--isolation", "chroot", "--env", "SALLYPORT_ADMIN_LISTEN=" + admin, container, "--"},
		image.Docker.Config.Healthcheck.Test[1:]...)
	for end := time.Now().Add(20 * time.Second); ; {
		out, err := exec.Command("buildah", health...).CombinedOutput()
		if err == nil && bytes.HasPrefix(out, []byte("ready")) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the health check fails: %v: %s", err, out)
		}
	}
}

// serveMetadata answers as an OpenID Provider with metadata and an empty key set.
func serveMetadata(w http.ResponseWriter, r *http.Request) {
	url := "http://" + r.Host
	json.NewEncoder(w).Encode(map[string]any{
		"issuer": url, "authorization_endpoint": url + "/authorize", "token_endpoint": url + "/token", "jwks_uri": url + "/jwks",
		"keys": []any{},
	})
}

// mustFind reads lines until one matches, and returns the first group. The other lines are read and thrown away.
func mustFind(t *testing.T, log io.Reader, pattern *regexp.Regexp) string {
	t.Helper()
	var read strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		read.Write(append(lines.Bytes(), '\n'))
		if m := pattern.FindStringSubmatch(lines.Text()); m != nil {
			go io.Copy(io.Discard, log)
			return m[1]
		}
	}
	t.Fatalf("no line matches %v:\n%s", pattern, read.String())
	return ""
}

// mustParse parses JSON.
func mustParse(t *testing.T, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
