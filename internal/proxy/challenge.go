package proxy

import (
	"fmt"
	"net/http"
	"strings"

	"sallyport/internal/auth"
)

// schemeDPoP is the scheme of Authorization for access tokens that are bound to a key (RFC 9449 §7.1).
const schemeDPoP = "DPoP"

// wwwAuthenticate returns the challenges for a refusal (RFC 6750 §3, RFC 9449 §7.1). One of them has an error code, and only if a token
// or its proof was refused: that of the scheme under which the token came.
func (d *Decision) wwwAuthenticate(e *auth.Error) []string {
	insufficient := e.Status == http.StatusForbidden && e.Code == "insufficient_scope"
	if d.Route == nil || e.Status != http.StatusUnauthorized && !insufficient {
		return nil
	}
	failed, bearer, dpop := d.failedScheme(e), d.Route.challenge[0], d.Route.dpopChallenge
	if d.Route.MCP != nil {
		bearer, insufficient = d.mcpChallenge(e), false
	}
	if e.Code == "" {
		return d.challenges(bearer, dpop, failed)
	}
	parameters := d.errorParameters(e, insufficient)
	switch {
	case insufficient && failed == schemeDPoP:
		return []string{dpop + parameters}
	case insufficient: // the required scope is among the parameters
		bearer, _, _ = strings.Cut(bearer, ", scope=")
		return []string{bearer + parameters}
	case failed == schemeDPoP:
		dpop += parameters
	default:
		bearer += parameters
	}
	return d.challenges(bearer, dpop, failed)
}

// challenges returns the challenges in the order in which the gate writes them. The one of DPoP is for clients that use it, unless the
// route takes no other tokens.
func (d *Decision) challenges(bearer, dpop, failed string) []string {
	all := d.Route.challenge
	if bearer != all[0] {
		all = append([]string{bearer}, all[1:]...)
	}
	if d.Route.DPoP == "" || failed != schemeDPoP && !d.Route.OnlyDPoP {
		return all
	}
	return append([]string{dpop}, all...)
}

// failedScheme returns the scheme of the credential that was refused: Bearer or DPoP.
func (d *Decision) failedScheme(e *auth.Error) string {
	if d.Route.DPoP != "" && (e.Scheme == schemeDPoP || hasScheme(d.Request.Header["Authorization"], schemeDPoP)) {
		return schemeDPoP
	}
	return "Bearer"
}

// hasScheme reports whether a header Authorization has a scheme.
func hasScheme(lines []string, scheme string) bool {
	if len(lines) != 1 {
		return false
	}
	own, _, _ := strings.Cut(lines[0], " ")
	return strings.EqualFold(own, scheme)
}

// errorParameters returns the parameters of the challenge for a refused token, after a comma.
func (d *Decision) errorParameters(e *auth.Error, insufficient bool) (all string) {
	// Without the code use_dpop_nonce a client can't know that it must repeat the request.
	if d.viewOf(e).Errors.ExposeErrorCode || e.Code == "use_dpop_nonce" {
		all += fmt.Sprintf(", error=%q, error_description=%q", e.Code, e.Description)
	}
	if insufficient && e.Scope != "" {
		all += fmt.Sprintf(", scope=%q", e.Scope)
	}
	if s := e.StepUp; s != nil { // RFC 9470 §3
		if len(s.ACRValues) > 0 {
			all += fmt.Sprintf(", acr_values=%q", strings.Join(s.ACRValues, " "))
		}
		if s.MaxAge != nil {
			all += fmt.Sprintf(", max_age=\"%d\"", int(s.MaxAge.Seconds()))
		}
	}
	return all
}
