package importer

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// alphaOptions has the options by their path in the alpha configuration. The provider is providers[0].
var alphaOptions = map[string]string{
	"server.bindAddress": "http_address", "server.secureBindAddress": "https_address", "server.tls.cert.fromFile": "tls_cert_file",
	"server.tls.key.fromFile": "tls_key_file", "server.tls.minVersion": "tls_min_version", "server.tls.cipherSuites": "tls_cipher_suites",
	"metricsServer.bindAddress": "metrics_address", "metricsServer.secureBindAddress": "metrics_secure_address",

	"provider.provider": "provider", "provider.clientID": "client_id", "provider.clientSecret": "client_secret",
	"provider.clientSecretFile": "client_secret_file", "provider.name": "provider_display_name", "provider.caFiles": "provider_ca_files",
	"provider.useSystemTrustStore": "use_system_trust_store", "provider.loginURL": "login_url", "provider.redeemURL": "redeem_url",
	"provider.profileURL": "profile_url", "provider.validateURL": "validate_url", "provider.resource": "resource", "provider.scope": "scope",
	"provider.allowedGroups": "allowed_groups", "provider.code_challenge_method": "code_challenge_method",
	"provider.backendLogoutURL": "backend_logout_url", "provider.skipClaimsFromProfileURL": "skip_claims_from_profile_url",
	"provider.authRequestResponseMode": "auth_request_response_mode",

	"provider.oidcConfig.issuerURL": "oidc_issuer_url", "provider.oidcConfig.jwksURL": "oidc_jwks_url",
	"provider.oidcConfig.skipDiscovery": "skip_oidc_discovery", "provider.oidcConfig.emailClaim": "oidc_email_claim",
	"provider.oidcConfig.groupsClaim": "oidc_groups_claim", "provider.oidcConfig.userIDClaim": "user_id_claim",
	"provider.oidcConfig.audienceClaims": "oidc_audience_claims", "provider.oidcConfig.extraAudiences": "oidc_extra_audiences",
	"provider.oidcConfig.enabledSigningAlgs": "oidc_enabled_signing_algs", "provider.oidcConfig.publicKeyFiles": "oidc_public_key_files",
	"provider.oidcConfig.insecureAllowUnverifiedEmail":   "insecure_oidc_allow_unverified_email",
	"provider.oidcConfig.insecureSkipIssuerVerification": "insecure_oidc_skip_issuer_verification",
	"provider.oidcConfig.insecureSkipNonce":              "insecure_oidc_skip_nonce",

	"provider.keycloakConfig.groups": "keycloak_groups", "provider.keycloakConfig.roles": "allowed_roles",
	"provider.azureConfig.tenant": "azure_tenant", "provider.azureConfig.graphGroupField": "azure_graph_group_field",
	"provider.microsoftEntraIDConfig.allowedTenants":     "entra_id_allowed_tenants",
	"provider.microsoftEntraIDConfig.federatedTokenAuth": "entra_id_federated_token_auth",
	"provider.githubConfig.org":                          "github_org", "provider.githubConfig.team": "github_team",
	"provider.githubConfig.repo":  "github_repo",
	"provider.githubConfig.token": "github_token", "provider.githubConfig.users": "github_users",
	"provider.gitlabConfig.group": "gitlab_groups", "provider.gitlabConfig.projects": "gitlab_projects",
	"provider.googleConfig.group": "google_groups", "provider.googleConfig.adminEmail": "google_admin_email",
	"provider.googleConfig.serviceAccountJson":               "google_service_account_json",
	"provider.googleConfig.targetPrincipal":                  "google_target_principal",
	"provider.googleConfig.adminAPIUserScope":                "google_admin_api_user_scope",
	"provider.googleConfig.useApplicationDefaultCredentials": "google_use_application_default_credentials",
	"provider.googleConfig.useOrganizationID":                "google_use_organization_id",
	"provider.bitbucketConfig.team":                          "bitbucket_team", "provider.bitbucketConfig.repository": "bitbucket_repository",
	"provider.loginGovConfig.jwtKey": "jwt_key", "provider.loginGovConfig.jwtKeyFile": "jwt_key_file",
	"provider.loginGovConfig.pubjwkURL": "pubjwk_url",
}

// alphaFlags are arguments of logins that the alpha configuration lists as loginURLParameters.
var alphaFlags = map[string]string{"prompt": "prompt", "acr_values": "acr_values", "approval_prompt": "approval_prompt"}

// readAlpha reads an alpha configuration.
func (d *o2pDeployment) readAlpha(file string, root *yaml.Node) error {
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s: expected an alpha configuration of oauth2-proxy, a compose file or an object of Kubernetes", mark(file, root))
	}
	d.alpha = true
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		switch key.Value {
		case "upstreamConfig":
			d.alphaUpstreams(file, value)
		case "injectRequestHeaders":
			d.requestHeaders = d.alphaHeaders(file, value)
		case "injectResponseHeaders":
			d.responseHeaders = d.alphaHeaders(file, value)
		case "providers":
			d.alphaProvider(file, value)
		default:
			d.alphaScalars(file, key.Value, key, value, 0)
		}
	}
	return nil
}

// alphaProvider reads the first provider. Oauth2-proxy has no more than one that works.
func (d *o2pDeployment) alphaProvider(file string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return
	}
	d.alphaScalars(file, "provider", n.Content[0], n.Content[0], 0)
	if len(n.Content) > 1 {
		d.Notef(mark(file, n.Content[1]), "only the first provider is imported, which is the only one that oauth2-proxy uses")
	}
}

// alphaScalars sets the options below a key.
func (d *o2pDeployment) alphaScalars(file, path string, key, n *yaml.Node, depth int) {
	if option := alphaOptions[path]; option != "" {
		d.set(option, alphaSetting(file, key, n))
		return
	}
	switch {
	case path == "provider.id" || path == "provider.additionalClaims":
	case path == "provider.loginURLParameters":
		d.alphaLogin(file, n)
	case n.Kind == yaml.MappingNode && depth < maxDepth:
		for i := 0; i+1 < len(n.Content); i += 2 {
			d.alphaScalars(file, path+"."+n.Content[i].Value, n.Content[i], n.Content[i+1], depth+1)
		}
	default:
		d.unknown[path] = mark(file, key)
	}
}

// alphaSetting returns the setting of a scalar or a list of scalars.
func alphaSetting(file string, key, n *yaml.Node) o2pSetting {
	s := o2pSetting{rank: o2pAlpha, place: mark(file, key)}
	if n.Kind == yaml.ScalarNode {
		if name, ok := variableReference(n.Value); ok {
			s.variable = name
			return s
		}
		s.values = []word{{n.Value, s.place}}
		return s
	}
	for _, item := range n.Content {
		s.values = append(s.values, word{item.Value, mark(file, item)})
	}
	return s
}

// alphaLogin reads loginURLParameters: those that a client may choose are left out.
func (d *o2pDeployment) alphaLogin(file string, n *yaml.Node) {
	for _, item := range n.Content {
		name, values := member(item, "name"), member(item, "default")
		if member(item, "allow") != nil {
			d.Notef(mark(file, item), "values that a client chooses aren't taken: authorization_query_args_client names such parameters")
		}
		if name == nil || values == nil {
			continue
		}
		if option := alphaFlags[name.Value]; option != "" {
			d.set(option, alphaSetting(file, name, values))
		} else {
			d.Notef(mark(file, name), "the parameter %s of logins isn't imported: write authorization_query_args_names and -_values", name.Value)
		}
	}
}

// alphaUpstreams reads upstreamConfig.
func (d *o2pDeployment) alphaUpstreams(file string, n *yaml.Node) {
	if raw := member(n, "proxyRawPath"); raw != nil && raw.Value == "true" {
		d.Notef(mark(file, raw), "paths with %%2F are refused: write allow: [encoded_slash] into the route")
	}
	list := member(n, "upstreams")
	if list == nil {
		return
	}
	for _, item := range list.Content {
		text := func(key string) string {
			if v := member(item, key); v != nil {
				return v.Value
			}
			return ""
		}
		d.upstreams = append(d.upstreams, o2pUpstream{path: text("path"), rewrite: text("rewriteTarget"), uri: text("uri"),
			static: text("static") == "true", staticCode: text("staticCode"), insecure: text("insecureSkipTLSVerify") == "true",
			ownHost: text("passHostHeader") == "false", noKeepAlive: text("disableKeepAlives") == "true", timeout: text("timeout"),
			place: mark(file, item)})
		if text("proxyWebSockets") == "false" {
			d.Notef(mark(file, item), "proxyWebSockets: WebSockets are forwarded, to users who may pass")
		}
	}
}

// alphaHeaders reads a list of headers, in the form before version 7.14 or after it.
func (d *o2pDeployment) alphaHeaders(file string, n *yaml.Node) (all []o2pHeader) {
	for _, item := range n.Content {
		name, values := member(item, "name"), member(item, "values")
		if name == nil || values == nil {
			continue
		}
		if len(values.Content) > 1 {
			d.Notef(mark(file, item), "%s: only the first of its values is sent", name.Value)
		}
		if keep := member(item, "preserveRequestValue"); keep != nil && keep.Value == "true" {
			d.Notef(mark(file, keep), "%s: a client's own header never reaches the upstream", name.Value)
		}
		if len(values.Content) > 0 {
			all = append(all, alphaHeader(file, name, values.Content[0]))
		}
	}
	return all
}

// alphaHeader reads a value of a header.
func alphaHeader(file string, name, value *yaml.Node) o2pHeader {
	h := o2pHeader{name: name.Value, place: mark(file, name)}
	if source := member(value, "claimSource"); source != nil {
		value = source
	}
	claim := member(value, "claim")
	h.secret = claim == nil || member(value, "basicAuthPassword") != nil || strings.TrimSpace(claim.Value) == ""
	if claim != nil {
		h.claim = claim.Value
	}
	if prefix := member(value, "prefix"); prefix != nil {
		h.prefix = prefix.Value
	}
	return h
}
