// Package e2e holds the tests of the real binary between real parts: Keycloak, oidc-provider, Redis, Chromium and nginx. It has
// no code of its own. parts.sh installs what a machine lacks; each run starts its own copies on free ports and ends them.
package e2e
