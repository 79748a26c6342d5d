package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	debName = "sallyport_1.2.3-1_amd64.deb"
	rpmName = "sallyport-1.2.3-1.x86_64.rpm"
)

// packaged are files of both packages.
var packaged = []string{
	"/usr/bin/sallyport", "/etc/sallyport/sallyport.yaml", "/usr/lib/systemd/system/sallyport.service",
	"/usr/lib/sysusers.d/sallyport.conf", "/usr/share/bash-completion/completions/sallyport",
	"/usr/share/fish/vendor_completions.d/sallyport.fish", "/usr/share/man/man1/sallyport.1", "/usr/share/doc/sallyport/README.md",
	"/usr/share/doc/sallyport/copyright", "/usr/share/doc/sallyport/configs/minimal.yaml",
}

// TestDeb lets dpkg-deb read the deb package.
func TestDeb(t *testing.T) {
	b := mustBuild(t)
	info := mustRun(t, b.dist, "dpkg-deb", "-I", debName)
	mustContain(t, "dpkg-deb -I", info, "Package: sallyport", "Version: 1.2.3-1", "Architecture: amd64", "Recommends: ca-certificates",
		"conffiles", "postinst", "prerm", "postrm")
	list := mustRun(t, b.dist, "dpkg-deb", "-c", debName)
	for _, name := range append(packaged, "/usr/share/zsh/vendor-completions/_sallyport") {
		mustContain(t, "dpkg-deb -c", list, " ."+name+"\n")
	}
	mustContain(t, "dpkg-deb -c", list, "-rwxr-xr-x root/root", "drwxr-x--- root/root")
	mustContain(t, "conffiles", mustRun(t, b.dist, "dpkg-deb", "-I", debName, "conffiles"), "/etc/sallyport/sallyport.yaml\n")
}

// TestRPM lets rpm read the rpm package and check its digests.
func TestRPM(t *testing.T) {
	b := mustBuild(t)
	mustContain(t, "rpm -K", mustRun(t, b.dist, "rpm", "-K", rpmName), "digests OK")
	mustContain(t, "rpm -qpi", mustRun(t, b.dist, "rpm", "-qpi", rpmName), "Version     : 1.2.3", "Architecture: x86_64",
		"License     : Apache-2.0", "Build Host  : localhost")
	list := mustRun(t, b.dist, "rpm", "-qpl", rpmName)
	for _, name := range append(packaged, "/usr/share/zsh/site-functions/_sallyport") {
		mustContain(t, "rpm -qpl", list, name+"\n")
	}
	mustContain(t, "rpm -qpc", mustRun(t, b.dist, "rpm", "-qpc", rpmName), "/etc/sallyport/sallyport.yaml\n")
	mustContain(t, "rpm --scripts", mustRun(t, b.dist, "rpm", "-qp", "--scripts", rpmName), "postinstall scriptlet", "preuninstall scriptlet",
		"postuninstall scriptlet")
	root := t.TempDir()
	mustRun(t, b.dist, "rpm", "--root", root, "--noscripts", "--nodeps", "--ignorearch", "-i", rpmName)
	mustContain(t, "the binary", mustRun(t, root, filepath.Join(root, "usr/bin/sallyport"), "version"), "sallyport v1.2.3 ")
}

// TestInstall installs the deb package into a folder as its root, with its scripts. It checks the user, the permissions and the unit, runs
// what the unit runs before a start, and removes the package. A changed configuration stays until the package is purged.
func TestInstall(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Fatalf("this test runs the binary for amd64, and this machine is %s", runtime.GOARCH)
	}
	b, root := mustBuild(t), mustRoot(t)
	dpkg := func(args ...string) {
		mustRun(t, b.dist, "dpkg", append([]string{"--root=" + root, "--force-script-chrootless"}, args...)...)
	}
	dpkg("-i", debName)
	passwd := mustRead(t, filepath.Join(root, "etc/passwd"))
	user := regexp.MustCompile(`(?m)^sallyport:[^:]*:\d+:(\d+):Sallyport:/var/lib/sallyport:/usr/sbin/nologin$`).FindSubmatch(passwd)
	if user == nil {
		t.Fatalf("etc/passwd has no user sallyport: %s", passwd)
	}
	group, _ := strconv.Atoi(string(user[1]))
	checkOwner(t, filepath.Join(root, "etc/sallyport"), group, 0o750)
	file := filepath.Join(root, "etc/sallyport/sallyport.yaml")
	checkOwner(t, file, group, 0o640)
	checkUnit(t, root)

	if err := os.WriteFile(file, append(mustRead(t, file), "# changed\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	dpkg("--force-confold", "-i", debName)
	dpkg("-r", "sallyport")
	mustContain(t, "the configuration after dpkg -r", string(mustRead(t, file)), "# changed\n")
	if _, err := os.Stat(filepath.Join(root, "usr/bin/sallyport")); err == nil {
		t.Error("the binary is there after dpkg -r")
	}
	dpkg("-P", "sallyport")
	if _, err := os.Stat(file); err == nil {
		t.Error("the configuration is there after dpkg -P")
	}
}

// mustRoot returns a folder that is an empty root for dpkg.
func mustRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, folder := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"status", "available"} {
		if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyFile("/bin/kill", filepath.Join(root, "bin/kill")); err != nil { // the unit's ExecReload
		t.Fatal(err)
	}
	return root
}

// checkOwner checks that a file belongs to root and to a group.
func checkOwner(t *testing.T, name string, group int, mode os.FileMode) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if owner.Uid != 0 || int(owner.Gid) != group || info.Mode().Perm() != mode {
		t.Errorf("%s: owner %d:%d, mode %o; expected 0:%d, %o", name, owner.Uid, owner.Gid, info.Mode().Perm(), group, mode)
	}
}

// checkUnit lets systemd verify the unit, and runs its ExecStartPre with the paths of the root.
func checkUnit(t *testing.T, root string) {
	t.Helper()
	verify := exec.Command("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "--root="+root, "sallyport.service")
	out, err := verify.CombinedOutput()
	if err != nil || strings.Contains(string(out), "sallyport.service:") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	unit := string(mustRead(t, filepath.Join(root, "usr/lib/systemd/system/sallyport.service")))
	mustContain(t, "the unit", unit, "ExecStart=/usr/bin/sallyport run -c /etc/sallyport/sallyport.yaml\n", "\nUser=sallyport\n")
	check := regexp.MustCompile(`(?m)^ExecStartPre=(.*)$`).FindStringSubmatch(unit)
	args := strings.Fields(strings.ReplaceAll(check[1], " /", " "+root+"/"))
	mustContain(t, check[1], mustRun(t, root, filepath.Join(root, args[0]), args[1:]...), "sallyport.yaml: ok, 1 route\n")
}
