package kubernetes

import (
	_ "github.com/envoyproxy/gateway/api/v1alpha1"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	_ "k8s.io/api/apps/v1"
	_ "sallyport/internal/freeport"
	_ "sallyport/internal/testlog"
	_ "sigs.k8s.io/gateway-api/apis/v1"
	_ "sigs.k8s.io/gateway-api/apis/v1beta1"
	_ "sigs.k8s.io/yaml"
)
