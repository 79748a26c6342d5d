// Package kubernetes tests the Helm chart and the manifests of deploy, without a cluster: they are rendered, validated against the schemas
// of Kubernetes and decoded into its Go types, their promises are checked, and the real binary runs as a kubelet would run it. It is a
// module of its own, so that the gate's go.mod has none of this.
package kubernetes
