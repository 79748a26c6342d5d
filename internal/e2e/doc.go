// Package e2e contains end-to-end tests of the sallyport binary with Keycloak, oidc-provider, Redis, Chromium, nginx, Caddy, HAProxy,
// Envoy, pebble, and clients, servers and the conformance suite of the Model Context Protocol. parts.sh installs these programs. Each run
// starts its own processes on free ports and stops them.
package e2e
