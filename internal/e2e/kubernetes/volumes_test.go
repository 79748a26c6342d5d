package kubernetes

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

// A node is what a kubelet makes of a pod's container: its volumes are folders in dir, and paths in the container are below dir.
type node struct {
	t       *testing.T
	o       *objects
	pod     *core.PodSpec
	gate    *core.Container
	in      string // the namespace of the pod
	dir     string
	version int
}

// newNode mounts the volumes of the gate's container.
func newNode(t *testing.T, o *objects) *node {
	t.Helper()
	d := gateDeployment(t, o)
	dir, err := os.MkdirTemp("", "sallyport-node-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the container's user enters it
		t.Fatal(err)
	}
	n := &node{t: t, o: o, pod: &d.Spec.Template.Spec, in: d.Namespace, dir: dir}
	n.gate = gateContainer(n.pod)
	for i := range n.gate.VolumeMounts {
		n.mount(&n.gate.VolumeMounts[i])
	}
	return n
}

// local returns a text with the paths of the container's volumes as paths on this machine.
func (n *node) local(text string) string {
	for _, m := range n.gate.VolumeMounts {
		text = strings.ReplaceAll(text, m.MountPath+"/", filepath.Join(n.dir, m.MountPath)+"/")
	}
	return text
}

// mount writes a volume as the kubelet does: the files are in a folder with a new name, the link ..data leads to it, and what the
// container sees are links below ..data. Mounting again replaces the link, so that all files change at once.
func (n *node) mount(m *core.VolumeMount) {
	n.t.Helper()
	files, mode := n.files(m)
	n.version++
	folder := filepath.Join(n.dir, m.MountPath)
	data := fmt.Sprintf("..2026_11_28_%04d", n.version)
	for path, text := range files {
		file := filepath.Join(folder, data, path)
		n.must(os.MkdirAll(filepath.Dir(file), 0o755))
		n.must(os.WriteFile(file, []byte(text), 0o600))
		n.must(os.Chmod(file, mode))
		if group := n.pod.SecurityContext.FSGroup; group != nil && os.Geteuid() == 0 {
			n.must(os.Chown(file, 0, int(*group)))
		}
	}
	n.must(os.MkdirAll(filepath.Join(folder, data), 0o755))
	n.must(os.Symlink(data, filepath.Join(folder, "..data_tmp")))
	n.must(os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")))
	for path := range files {
		top, _, _ := strings.Cut(path, "/")
		if err := os.Symlink(filepath.Join("..data", top), filepath.Join(folder, top)); err != nil && !os.IsExist(err) {
			n.t.Fatal(err)
		}
	}
}

func (n *node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// files returns the files of a mounted volume by their paths in it, and their mode.
func (n *node) files(m *core.VolumeMount) (map[string]string, fs.FileMode) {
	n.t.Helper()
	for i := range n.pod.Volumes {
		v := &n.pod.Volumes[i]
		switch {
		case v.Name != m.Name:
		case v.ConfigMap != nil:
			c := named[*core.ConfigMap](n.o, n.in, v.ConfigMap.Name)
			if c == nil {
				return map[string]string{}, 0o644 // not of the chart
			}
			return n.items(v.ConfigMap.Items, c.Data), modeOf(v.ConfigMap.DefaultMode)
		case v.Secret != nil:
			return n.secretFiles(v.Secret), modeOf(v.Secret.DefaultMode)
		}
	}
	n.t.Fatalf("%s: no volume %s for a mount", n.o.name, m.Name)
	return nil, 0
}

// secretFiles returns the files of a Secret. One that isn't in the objects has the files of a certificate.
func (n *node) secretFiles(v *core.SecretVolumeSource) map[string]string {
	n.t.Helper()
	s := named[*core.Secret](n.o, n.in, v.SecretName)
	if s == nil {
		return map[string]string{"tls.crt": certificate, "tls.key": key}
	}
	all := map[string]string{}
	for name, value := range s.Data {
		all[name] = string(value)
	}
	for name, value := range s.StringData {
		all[name] = value
	}
	return n.items(v.Items, all)
}

// items returns the files that items select, by their paths, or all.
func (n *node) items(items []core.KeyToPath, all map[string]string) map[string]string {
	n.t.Helper()
	if len(items) == 0 {
		return all
	}
	selected := map[string]string{}
	for _, item := range items {
		text, ok := all[item.Key]
		if !ok {
			n.t.Errorf("%s: a volume selects the key %s, which isn't there", n.o.name, item.Key)
		}
		selected[item.Path] = text
	}
	return selected
}

func modeOf(mode *int32) fs.FileMode {
	if mode == nil {
		return 0o644
	}
	return fs.FileMode(*mode)
}

// env returns the container's environment.
func (n *node) env() (all []string) {
	for _, v := range n.gate.Env {
		all = append(all, v.Name+"="+v.Value)
	}
	return all
}

// relocate writes the configuration with the paths of this machine in place of the container's, and returns its file.
func (n *node) relocate() string {
	n.t.Helper()
	file := ""
	for i := range n.gate.VolumeMounts {
		m := &n.gate.VolumeMounts[i]
		files, _ := n.files(m)
		for path := range files {
			if strings.HasSuffix(path, ".yaml") {
				seen := filepath.Join(n.dir, m.MountPath, path)
				real, err := filepath.EvalSymlinks(seen)
				n.must(err)
				text, err := os.ReadFile(real)
				n.must(err)
				n.must(os.WriteFile(real, []byte(n.local(string(text))), 0o600))
				if filepath.Join(m.MountPath, path) == n.configPath() {
					file = seen
				}
			}
		}
	}
	if file == "" {
		n.t.Fatalf("%s: no volume has the configuration %s", n.o.name, n.configPath())
	}
	return file
}

// configPath returns the configuration's path in the container, which the arguments end with.
func (n *node) configPath() string {
	args := n.gate.Args
	if len(args) != 3 || args[0] != "run" || args[1] != "-c" {
		n.t.Fatalf("%s: the arguments are %q", n.o.name, args)
	}
	return args[2]
}
