package kubernetes

import (
	"slices"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// selects reports whether a selector that isn't empty selects the pods of a Deployment.
func selects(s *meta.LabelSelector, d *apps.Deployment) bool {
	selector, err := meta.LabelSelectorAsSelector(s)
	return err == nil && !selector.Empty() && selector.Matches(labels.Set(d.Spec.Template.Labels))
}

// hasPort reports whether a container of a pod has a port, by its name or number.
func hasPort(pod *core.PodSpec, port intstr.IntOrString) bool {
	return slices.ContainsFunc(pod.Containers, func(c core.Container) bool {
		return slices.ContainsFunc(c.Ports, func(p core.ContainerPort) bool {
			return p.Name == port.String() || port.IntValue() == int(p.ContainerPort)
		})
	})
}

// TestSelectors checks that each selector selects the gate's pods, and that ports exist there.
func TestSelectors(t *testing.T) {
	t.Parallel()
	for _, o := range everything(t) {
		d := gateDeployment(t, o)
		if !selects(d.Spec.Selector, d) {
			t.Errorf("%s: the Deployment doesn't select its pods", o.name)
		}
		for _, c := range d.Spec.Template.Spec.TopologySpreadConstraints {
			if !selects(c.LabelSelector, d) {
				t.Errorf("%s: pods are spread by the wrong labels", o.name)
			}
		}
		services := 0
		for _, s := range of[*core.Service](o) {
			if s.Namespace != d.Namespace || !selects(&meta.LabelSelector{MatchLabels: s.Spec.Selector}, d) {
				continue // of an app
			}
			for _, p := range s.Spec.Ports {
				services++
				if !hasPort(&d.Spec.Template.Spec, p.TargetPort) {
					t.Errorf("%s: the Service %s leads to the port %s, which no container has", o.name, s.Name, p.TargetPort.String())
				}
				if p.TargetPort.String() == "admin" && s.Spec.Type != "" && s.Spec.Type != core.ServiceTypeClusterIP {
					t.Errorf("%s: the Service %s of the type %s opens the admin listener to the world", o.name, s.Name, s.Spec.Type)
				}
			}
		}
		if services == 0 {
			t.Errorf("%s: no Service leads to the gate", o.name)
		}
		for _, m := range of[*monitoring.ServiceMonitor](o) {
			checkMonitor(t, o, m)
		}
	}
}

// checkMonitor checks that a ServiceMonitor selects a single Service, which has its port.
func checkMonitor(t *testing.T, o *objects, m *monitoring.ServiceMonitor) {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(&m.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range of[*core.Service](o) {
		if !selector.Matches(labels.Set(s.Labels)) {
			continue
		}
		found++
		if s.Spec.Ports[0].Name != m.Spec.Endpoints[0].Port || m.Spec.Endpoints[0].Path != "/metrics" {
			t.Errorf("%s: Prometheus scrapes %+v", o.name, m.Spec.Endpoints)
		}
	}
	if found != 1 {
		t.Errorf("%s: Prometheus scrapes %d Services", o.name, found)
	}
}

// TestDisruption checks that budget, autoscaler and replicas allow that a node is drained, and that the autoscaler alone sets replicas.
func TestDisruption(t *testing.T) {
	t.Parallel()
	for _, o := range everything(t) {
		d := gateDeployment(t, o)
		budgets, scalers := of[*policy.PodDisruptionBudget](o), of[*autoscaling.HorizontalPodAutoscaler](o)
		if len(budgets) != 1 || !selects(budgets[0].Spec.Selector, d) {
			t.Errorf("%s: no budget selects the pods", o.name)
			continue
		}
		replicas := 0
		for _, h := range scalers {
			replicas = int(*h.Spec.MinReplicas)
			if h.Spec.ScaleTargetRef.Name != d.Name || h.Spec.ScaleTargetRef.Kind != "Deployment" || d.Spec.Replicas != nil ||
				replicas < 2 || int(h.Spec.MaxReplicas) < replicas {
				t.Errorf("%s: the autoscaler doesn't fit the Deployment:\n%s", o.name, o.text[h])
			}
			if u := h.Spec.Metrics[0].Resource.Target.AverageUtilization; u == nil || *u <= 0 || *u > 100 {
				t.Errorf("%s: the autoscaler has no target", o.name)
			}
		}
		if len(scalers) == 0 {
			replicas = int(*d.Spec.Replicas)
		}
		allowed, err := intstr.GetScaledValueFromIntOrPercent(budgets[0].Spec.MaxUnavailable, replicas, true)
		if err != nil || allowed < 1 || allowed >= replicas {
			t.Errorf("%s: of %d replicas %d may be away, %v", o.name, replicas, allowed, err)
		}
	}
}

// TestNetworkPolicy checks that only named peers reach the admin listener, that only the proxy reaches a listener for forward-auth, and
// that the gate connects to named peers alone, DNS among them, and not to the cloud's metadata.
func TestNetworkPolicy(t *testing.T) {
	t.Parallel()
	for _, o := range everything(t) {
		d := gateDeployment(t, o)
		found := 0
		for _, p := range of[*networking.NetworkPolicy](o) {
			if p.Namespace != d.Namespace || !selects(&p.Spec.PodSelector, d) {
				continue
			}
			found++
			if len(p.Spec.PolicyTypes) != 2 {
				t.Errorf("%s: the policy is for %v", o.name, p.Spec.PolicyTypes)
			}
			checkIngress(t, o, p, &d.Spec.Template.Spec)
			checkEgress(t, o, p)
		}
		if found != 1 {
			t.Errorf("%s: %d policies select the gate", o.name, found)
		}
	}
}

func checkIngress(t *testing.T, o *objects, p *networking.NetworkPolicy, pod *core.PodSpec) {
	t.Helper()
	asked := forwardAuthOf(of[*core.ConfigMap](o)[0].Data["sallyport.yaml"]) != ""
	open := map[string]bool{}
	for _, rule := range p.Spec.Ingress {
		for _, port := range rule.Ports {
			open[port.Port.String()] = true
			if !hasPort(pod, *port.Port) {
				t.Errorf("%s: the policy opens the port %s, which no container has", o.name, port.Port)
			}
			if len(rule.From) == 0 && (asked || port.Port.String() == "admin") {
				t.Errorf("%s: everyone reaches the port %s", o.name, port.Port)
			}
		}
		if len(rule.Ports) == 0 {
			t.Errorf("%s: the policy opens all ports", o.name)
		}
	}
	if !open["http"] || !open["admin"] {
		t.Errorf("%s: the policy opens %v", o.name, open)
	}
}

func checkEgress(t *testing.T, o *objects, p *networking.NetworkPolicy) {
	t.Helper()
	dns, issuer := false, false
	for _, rule := range p.Spec.Egress {
		if len(rule.To) == 0 {
			t.Errorf("%s: the gate may connect to everything", o.name)
		}
		for _, port := range rule.Ports {
			dns = dns || port.Port.IntValue() == 53 && *port.Protocol == core.ProtocolUDP
			issuer = issuer || port.Port.IntValue() == 443
		}
		for _, to := range rule.To {
			if to.IPBlock != nil && to.IPBlock.CIDR == "0.0.0.0/0" && !slices.Contains(to.IPBlock.Except, "169.254.0.0/16") {
				t.Errorf("%s: the gate may connect to the cloud's metadata", o.name)
			}
		}
	}
	if !dns || !issuer {
		t.Errorf("%s: the gate may ask DNS: %v; issuers: %v", o.name, dns, issuer)
	}
}
