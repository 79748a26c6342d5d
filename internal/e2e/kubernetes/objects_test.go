package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	gateway "github.com/envoyproxy/gateway/api/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayapi "sigs.k8s.io/gateway-api/apis/v1"
	gatewayapibeta "sigs.k8s.io/gateway-api/apis/v1beta1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// types has the Go types of the objects that the chart and the manifests may have.
var types = map[string]func() meta.Object{
	"v1/ConfigMap":      func() meta.Object { return &core.ConfigMap{} },
	"v1/Namespace":      func() meta.Object { return &core.Namespace{} },
	"v1/Secret":         func() meta.Object { return &core.Secret{} },
	"v1/Service":        func() meta.Object { return &core.Service{} },
	"v1/ServiceAccount": func() meta.Object { return &core.ServiceAccount{} },

	"apps/v1/Deployment":                     func() meta.Object { return &apps.Deployment{} },
	"autoscaling/v2/HorizontalPodAutoscaler": func() meta.Object { return &autoscaling.HorizontalPodAutoscaler{} },
	"networking.k8s.io/v1/Ingress":           func() meta.Object { return &networking.Ingress{} },
	"networking.k8s.io/v1/NetworkPolicy":     func() meta.Object { return &networking.NetworkPolicy{} },
	"policy/v1/PodDisruptionBudget":          func() meta.Object { return &policy.PodDisruptionBudget{} },

	"gateway.networking.k8s.io/v1/Gateway":             func() meta.Object { return &gatewayapi.Gateway{} },
	"gateway.networking.k8s.io/v1/GatewayClass":        func() meta.Object { return &gatewayapi.GatewayClass{} },
	"gateway.networking.k8s.io/v1/HTTPRoute":           func() meta.Object { return &gatewayapi.HTTPRoute{} },
	"gateway.networking.k8s.io/v1beta1/ReferenceGrant": func() meta.Object { return &gatewayapibeta.ReferenceGrant{} },

	"gateway.envoyproxy.io/v1alpha1/ClientTrafficPolicy": func() meta.Object { return &gateway.ClientTrafficPolicy{} },
	"gateway.envoyproxy.io/v1alpha1/SecurityPolicy":      func() meta.Object { return &gateway.SecurityPolicy{} },

	"monitoring.coreos.com/v1/ServiceMonitor": func() meta.Object { return &monitoring.ServiceMonitor{} },

	"traefik.io/v1alpha1/IngressRoute": func() meta.Object { return &ingressRoute{} },
	"traefik.io/v1alpha1/Middleware":   func() meta.Object { return &middleware{} },
}

// A middleware is a Middleware of Traefik, with the fields that the chart uses. Traefik's own module is too large for a test.
type middleware struct {
	meta.TypeMeta
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		ForwardAuth struct {
			Address                  string   `json:"address"`
			TrustForwardHeader       *bool    `json:"trustForwardHeader"`
			AuthResponseHeaders      []string `json:"authResponseHeaders"`
			AddAuthCookiesToResponse []string `json:"addAuthCookiesToResponse"`
		} `json:"forwardAuth"`
	} `json:"spec"`
}

// An ingressRoute is an IngressRoute of Traefik, with the fields that the chart uses.
type ingressRoute struct {
	meta.TypeMeta
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		EntryPoints []string `json:"entryPoints"`
		TLS         *struct {
			SecretName string `json:"secretName"`
		} `json:"tls"`
		Routes []struct {
			Kind     string `json:"kind"`
			Match    string `json:"match"`
			Priority int    `json:"priority"`
			Services []struct {
				Kind           string `json:"kind"`
				Name           string `json:"name"`
				Port           string `json:"port"`
				PassHostHeader bool   `json:"passHostHeader"`
			} `json:"services"`
		} `json:"routes"`
	} `json:"spec"`
}

// An objects is a rendered release, or a folder of manifests.
type objects struct {
	name string
	yaml string
	all  []meta.Object
	text map[meta.Object]string
}

// of returns the objects of a type.
func of[T meta.Object](o *objects) (all []T) {
	for _, object := range o.all {
		if typed, ok := object.(T); ok {
			all = append(all, typed)
		}
	}
	return all
}

// named returns the object of a type with a name, or its zero value, which is nil.
func named[T meta.Object](o *objects, namespace, name string) (none T) {
	for _, object := range of[T](o) {
		if object.GetName() == name && object.GetNamespace() == namespace {
			return object
		}
	}
	return none
}

// mustDecode decodes the objects in a text. It refuses unknown and doubled fields, and field names of another case.
func mustDecode(t *testing.T, name, text string) *objects {
	t.Helper()
	o := &objects{name: name, yaml: text, text: map[meta.Object]string{}}
	for document := range strings.SplitSeq("\n"+text, "\n---") {
		if strings.Trim(comments.ReplaceAllString(document, ""), "\n ") == "" {
			continue
		}
		object, err := decode(document)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, document)
		}
		o.all = append(o.all, object)
		o.text[object] = document
	}
	return o
}

func decode(document string) (meta.Object, error) {
	text, err := yaml.YAMLToJSONStrict([]byte(document))
	if err != nil {
		return nil, err
	}
	var kind meta.TypeMeta
	if err := yaml.Unmarshal(text, &kind); err != nil {
		return nil, err
	}
	make := types[kind.APIVersion+"/"+kind.Kind]
	if make == nil {
		return nil, fmt.Errorf("there is no type for %s %s: add it to types", kind.APIVersion, kind.Kind)
	}
	object := make()
	unknown, err := json.UnmarshalStrict(text, object)
	if err != nil || len(unknown) > 0 {
		return nil, fmt.Errorf("%s %s: %v %v", kind.Kind, object.GetName(), err, unknown)
	}
	return object, nil
}
