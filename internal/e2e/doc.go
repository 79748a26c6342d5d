// Package e2e contains end-to-end tests of the sallyport binary with Keycloak, oidc-provider, Redis, Chromium, nginx, Caddy, HAProxy, Envoy
// and pebble. parts.sh installs these programs. Each run starts its own processes on free ports and stops them.
package e2e
