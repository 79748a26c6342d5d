package kubernetes

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// gateDeployment returns the Deployment whose pods have the gate.
func gateDeployment(t *testing.T, o *objects) *apps.Deployment {
	t.Helper()
	for _, d := range of[*apps.Deployment](o) {
		if gateContainer(&d.Spec.Template.Spec) != nil {
			return d
		}
	}
	t.Fatalf("%s: no Deployment has the gate", o.name)
	return nil
}

func gateContainer(pod *core.PodSpec) *core.Container {
	i := slices.IndexFunc(pod.Containers, func(c core.Container) bool { return c.Name == "sallyport" })
	if i < 0 {
		return nil
	}
	return &pod.Containers[i]
}

// TestConfined checks that pods run as what the standard "restricted" of Kubernetes requires, and stricter: no token, a file system that
// can't be written.
func TestConfined(t *testing.T) {
	t.Parallel()
	for _, o := range everything(t) {
		pod := gateDeployment(t, o).Spec.Template.Spec
		s := pod.SecurityContext
		if s == nil || !isTrue(s.RunAsNonRoot) || *s.RunAsUser != 65532 || *s.RunAsGroup != 65532 || *s.FSGroup != 65532 ||
			s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: the pod runs as %+v", o.name, s)
		}
		if !isFalse(pod.AutomountServiceAccountToken) || !isFalse(pod.EnableServiceLinks) || pod.HostNetwork || pod.HostPID {
			t.Errorf("%s: the pod has more than it needs", o.name)
		}
		for _, c := range pod.Containers {
			s := c.SecurityContext
			if s == nil || !isTrue(s.ReadOnlyRootFilesystem) || !isFalse(s.AllowPrivilegeEscalation) ||
				!slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || s.RunAsUser != nil {
				t.Errorf("%s: the container %s has %+v", o.name, c.Name, s)
			}
			if c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: the container %s has no request of CPU or no limit of memory", o.name, c.Name)
			}
		}
		gate := gateContainer(&pod)
		heap, err := resource.ParseQuantity(strings.TrimSuffix(envOf(gate, "GOMEMLIMIT"), "B"))
		if limit := gate.Resources.Limits.Memory(); err != nil || heap.Cmp(*limit) >= 0 || heap.Value() < limit.Value()*8/10 {
			t.Errorf("%s: GOMEMLIMIT is %s, and the container has %s", o.name, heap.String(), limit)
		}
		for _, a := range of[*core.ServiceAccount](o) {
			if !isFalse(a.AutomountServiceAccountToken) {
				t.Errorf("%s: the ServiceAccount gives pods its token", o.name)
			}
		}
	}
}

func isTrue(b *bool) bool { return b != nil && *b }

func isFalse(b *bool) bool { return b != nil && !*b }

// TestProbes checks that the kubelet asks the admin listener, whose port the pod has, for the right paths.
func TestProbes(t *testing.T) {
	t.Parallel()
	for _, o := range everything(t) {
		gate := gateContainer(&gateDeployment(t, o).Spec.Template.Spec)
		for kind, probe := range map[string]struct {
			*core.Probe
			path string
		}{
			"startup": {gate.StartupProbe, "/healthz"}, "liveness": {gate.LivenessProbe, "/healthz"}, "readiness": {gate.ReadinessProbe, "/readyz"},
		} {
			if probe.Probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != probe.path {
				t.Errorf("%s: the %s probe is %+v", o.name, kind, probe.Probe)
			} else if port := portNamed(gate, probe.HTTPGet.Port.String()); ":"+strconv.Itoa(port) != envOf(gate, "SALLYPORT_ADMIN_LISTEN") {
				t.Errorf("%s: the %s probe asks port %d", o.name, kind, port)
			}
		}
		if ":"+strconv.Itoa(portNamed(gate, "http")) != envOf(gate, "SALLYPORT_LISTEN") {
			t.Errorf("%s: the gate listens at %s", o.name, envOf(gate, "SALLYPORT_LISTEN"))
		}
	}
}

// portNamed returns the number of a container's port, or 0.
func portNamed(c *core.Container, name string) int {
	for _, p := range c.Ports {
		if p.Name == name {
			return int(p.ContainerPort)
		}
	}
	return 0
}

func envOf(c *core.Container, name string) string {
	for _, v := range c.Env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// TestGrace checks that a pod is killed only after the sleep and limits.drain_timeout.
func TestGrace(t *testing.T) {
	t.Parallel()
	for _, o := range everything(t) {
		pod := gateDeployment(t, o).Spec.Template.Spec
		var config struct {
			Limits struct {
				DrainTimeout string `json:"drain_timeout"`
			}
		}
		if err := yaml.Unmarshal([]byte(of[*core.ConfigMap](o)[0].Data["sallyport.yaml"]), &config); err != nil {
			t.Fatal(err)
		}
		drain := 30 * time.Second
		if text := config.Limits.DrainTimeout; text != "" {
			var err error
			if drain, err = time.ParseDuration(text); err != nil {
				t.Fatal(err)
			}
		}
		sleep := time.Duration(gateContainer(&pod).Lifecycle.PreStop.Sleep.Seconds) * time.Second
		grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
		if sleep == 0 || grace < sleep+drain+4*time.Second || grace > sleep+drain+10*time.Second {
			t.Errorf("%s: the pod has %v to stop, and sleeps %v and drains %v", o.name, grace, sleep, drain)
		}
	}
}

// TestSecrets checks that what is secret stands in Secrets alone, that pods mount it for the gate alone, and not writable for others.
func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, o := range everything(t) {
		var secrets []string
		for _, s := range of[*core.Secret](o) {
			for _, value := range s.Data {
				secrets = append(secrets, string(value))
			}
			secrets = append(secrets, slices.Collect(maps.Values(s.StringData))...)
		}
		for _, object := range o.all {
			_, isSecret := object.(*core.Secret)
			for _, secret := range secrets {
				if !isSecret && strings.Contains(o.text[object], secret) {
					t.Errorf("%s: %s has a secret:\n%s", o.name, object.GetName(), o.text[object])
				}
			}
		}
		pod := gateDeployment(t, o).Spec.Template.Spec
		for _, v := range pod.Volumes {
			if v.Secret == nil {
				continue
			}
			if v.Secret.DefaultMode == nil || *v.Secret.DefaultMode != 0o440 {
				t.Errorf("%s: the files of %s can be read by others", o.name, v.Name)
			}
			for _, c := range pod.Containers {
				if c.Name != "sallyport" && slices.ContainsFunc(c.VolumeMounts, func(m core.VolumeMount) bool { return m.Name == v.Name }) {
					t.Errorf("%s: the container %s mounts %s", o.name, c.Name, v.Name)
				}
			}
		}
	}
}
