package flow

import (
	"fmt"
	"slices"

	"sallyport/internal/auth"
)

// checkUpgrade refuses a WebSocket that a page of another site opens with a credential that browsers send by themselves,
// which are cookies and Basic: browsers send no preflight request (RFC 6455 §10.2).
func checkUpgrade(r *auth.Request, trusted []string) error {
	if r.Header.Get("Upgrade") == "" {
		return nil
	}
	origin := r.Header.Get("Origin")
	if len(r.Header.Values("Origin")) == 1 && (origin == r.Origin || slices.Contains(trusted, origin)) {
		return nil
	}
	return auth.Forbidden("upgrade_origin", fmt.Errorf("an upgrade with a credential that browsers send by themselves needs "+
		"Origin %q or one of trusted_origins, got %q", r.Origin, origin))
}
