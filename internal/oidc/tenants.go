package oidc

import (
	"fmt"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// TenantTemplate stands for the ID of a tenant where Entra ID has one endpoint for many tenants: in the issuer of its metadata, in the
// issuer of its keys, and in issuers_allowed.
const TenantTemplate = "{tenantid}"

// hasTenants reports whether an issuer is a template for the issuers of many tenants.
func hasTenants(issuer string) bool { return strings.Contains(issuer, TenantTemplate) }

// tenantOf returns the tenant of an iss that a template describes; "" if it describes another. A tenant's ID is a UUID, so that no other
// text can stand in its place.
func tenantOf(iss, template string) string {
	before, after, found := strings.Cut(template, TenantTemplate)
	rest, fits := strings.CutPrefix(iss, before)
	tenant, ends := strings.CutSuffix(rest, after)
	if !found || !fits || !ends || !check.IsUUID(tenant) || strings.ToLower(tenant) != tenant {
		return ""
	}
	return tenant
}

// tenant returns the tenant of an iss by the templates in the metadata and in issuers_allowed; "" without one.
func (i *Issuer) tenant(iss string, m *Metadata) string {
	for _, template := range append([]string{m.IssuerURL}, i.settings.IssuersAllowed...) {
		if tenant := tenantOf(iss, template); tenant != "" {
			return tenant
		}
	}
	return ""
}

// checkTenant refuses claims whose tid is another tenant than that of their iss.
func (i *Issuer) checkTenant(c auth.Claims, m *Metadata) error {
	tenant := i.tenant(c.String("iss"), m)
	if tenant == "" || c.String("tid") == tenant {
		return nil
	}
	return fmt.Errorf("tid: expected %q, the tenant of iss, got %q", tenant, clip(c.String("tid")))
}

// checkKeyTenant refuses a key that belongs to another tenant than the iss that it signed. The key names its issuer, which is a
// template or one tenant's issuer.
func (i *Issuer) checkKeyTenant(iss, keyIssuer string, m *Metadata) error {
	if keyIssuer == iss || i.tenant(iss, m) == "" || tenantOf(iss, keyIssuer) != "" {
		return nil
	}
	return fmt.Errorf("%w: the key belongs to %q, and iss is %q", errBadSignature, clip(keyIssuer), clip(iss))
}
