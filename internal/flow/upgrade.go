package flow

import (
	"fmt"
	"slices"

	"sallyport/internal/auth"
)

// checkUpgrade refuses a WebSocket that another site's page opens with what browsers send by themselves, a cookie or Basic: no
// preflight asks before (RFC 6455 §10.2).
func checkUpgrade(r *auth.Request, trusted []string) error {
	if r.Header.Get("Upgrade") == "" {
		return nil
	}
	origin := r.Header.Get("Origin")
	if len(r.Header.Values("Origin")) == 1 && (origin == r.Origin || slices.Contains(trusted, origin)) {
		return nil
	}
	return auth.Forbidden("upgrade_origin", fmt.Errorf("an upgrade with a credential that browsers send by themselves needs Origin %q or one of trusted_origins, got %q", r.Origin, origin))
}
