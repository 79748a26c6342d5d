package kubernetes

import (
	"fmt"
	"slices"
	"testing"

	gateway "github.com/envoyproxy/gateway/api/v1alpha1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayapi "sigs.k8s.io/gateway-api/apis/v1"
	gatewayapibeta "sigs.k8s.io/gateway-api/apis/v1beta1"
)

// TestRoutes checks that routes, policies and Ingresses lead to ports of Services, and where the namespaces differ that this is granted.
func TestRoutes(t *testing.T) {
	t.Parallel()
	backends := 0
	for _, o := range everything(t) {
		for _, r := range of[*gatewayapi.HTTPRoute](o) {
			for _, rule := range r.Spec.Rules {
				for _, b := range rule.BackendRefs {
					backends++
					checkBackend(t, o, "HTTPRoute", r.Namespace, b.BackendObjectReference)
				}
			}
			checkParents(t, o, r)
		}
		for _, p := range of[*gateway.SecurityPolicy](o) {
			if p.Spec.ExtAuth == nil {
				continue
			}
			for _, b := range p.Spec.ExtAuth.GRPC.BackendRefs {
				backends++
				checkBackend(t, o, "SecurityPolicy", p.Namespace, b.BackendObjectReference)
				if port := servicePort(o, *b.Namespace, string(b.Name), int32(*b.Port)); port == nil || *port.AppProtocol != "kubernetes.io/h2c" {
					t.Errorf("%s: Envoy asks at %+v without HTTP/2", o.name, port)
				}
			}
		}
		for _, i := range of[*networking.Ingress](o) {
			for _, rule := range i.Spec.Rules {
				service := rule.HTTP.Paths[0].Backend.Service
				if service.Name == "app" {
					continue
				}
				backends++
				s := named[*core.Service](o, i.Namespace, service.Name)
				if s == nil || !slices.ContainsFunc(s.Spec.Ports, func(p core.ServicePort) bool { return p.Name == service.Port.Name }) {
					t.Errorf("%s: the Ingress %s leads nowhere", o.name, i.Name)
				}
			}
		}
	}
	if backends < 10 {
		t.Errorf("%d backends were found", backends)
	}
}

// servicePort returns a port of a Service, or nil.
func servicePort(o *objects, namespace gatewayapi.Namespace, name string, port int32) *core.ServicePort {
	if s := named[*core.Service](o, string(namespace), name); s != nil {
		for i := range s.Spec.Ports {
			if s.Spec.Ports[i].Port == port {
				return &s.Spec.Ports[i]
			}
		}
	}
	return nil
}

// checkBackend checks a reference of an object of a kind in a namespace.
func checkBackend(t *testing.T, o *objects, kind, from string, b gatewayapi.BackendObjectReference) {
	t.Helper()
	to := gatewayapi.Namespace(from)
	if b.Namespace != nil {
		to = *b.Namespace
	}
	if servicePort(o, to, string(b.Name), int32(*b.Port)) == nil {
		t.Errorf("%s: a %s leads to %s:%d in %s, which isn't there", o.name, kind, b.Name, *b.Port, to)
	}
	if from == string(to) {
		return
	}
	for _, g := range of[*gatewayapibeta.ReferenceGrant](o) {
		granted := slices.ContainsFunc(g.Spec.From, func(f gatewayapibeta.ReferenceGrantFrom) bool {
			return string(f.Kind) == kind && string(f.Namespace) == from
		})
		if g.Namespace == string(to) && granted && slices.ContainsFunc(g.Spec.To, func(s gatewayapibeta.ReferenceGrantTo) bool {
			return s.Kind == "Service" && s.Name != nil && *s.Name == b.Name
		}) {
			return
		}
	}
	t.Errorf("%s: no ReferenceGrant lets a %s of %s lead to %s in %s", o.name, kind, from, b.Name, to)
}

// checkParents checks that a Gateway among the objects admits a route.
func checkParents(t *testing.T, o *objects, r *gatewayapi.HTTPRoute) {
	t.Helper()
	for _, ref := range r.Spec.ParentRefs {
		in := r.Namespace
		if ref.Namespace != nil {
			in = string(*ref.Namespace)
		}
		g := named[*gatewayapi.Gateway](o, in, string(ref.Name))
		if g == nil {
			if len(of[*gatewayapi.Gateway](o)) > 0 {
				t.Errorf("%s: HTTPRoute %s is for %s/%s, which isn't there", o.name, r.Name, in, ref.Name)
			}
			continue
		}
		for _, l := range g.Spec.Listeners {
			if !admits(g, &l, r.Namespace) {
				t.Errorf("%s: the listener %s doesn't admit routes of %s", o.name, l.Name, r.Namespace)
			}
			if !slices.Contains(r.Spec.Hostnames, *l.Hostname) || l.TLS == nil || len(l.TLS.CertificateRefs) == 0 {
				t.Errorf("%s: the listener %s isn't for HTTPRoute %s", o.name, l.Name, r.Name)
			}
		}
	}
}

// admits reports whether a listener takes routes of a namespace. The API server labels each namespace with its name.
func admits(g *gatewayapi.Gateway, l *gatewayapi.Listener, namespace string) bool {
	switch from := l.AllowedRoutes.Namespaces; *from.From {
	case gatewayapi.NamespacesFromAll:
		return true
	case gatewayapi.NamespacesFromSelector:
		selector, err := meta.LabelSelectorAsSelector(from.Selector)
		return err == nil && selector.Matches(labels.Set{"kubernetes.io/metadata.name": namespace})
	default:
		return g.Namespace == namespace
	}
}

// TestNames checks that no object is there twice, and that each has its namespace.
func TestNames(t *testing.T) {
	t.Parallel()
	for _, o := range everything(t) {
		seen := map[string]bool{}
		for _, object := range o.all {
			id := fmt.Sprintf("%T %s %s", object, object.GetNamespace(), object.GetName())
			if seen[id] {
				t.Errorf("%s: %s is there twice", o.name, id)
			}
			seen[id] = true
			switch object.(type) {
			case *core.Namespace, *gatewayapi.GatewayClass:
			default:
				if object.GetNamespace() == "" {
					t.Errorf("%s: %s has no namespace", o.name, id)
				}
			}
		}
	}
}
