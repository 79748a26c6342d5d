// An oidc-provider for the tests. Usage: node server.mjs PACKAGES SETTINGS
// SETTINGS is JSON: port, tlsPort, certFile, keyFile, caFile, jwks (private ones, to sign with), clients (their registered metadata),
// and configuration, whose members replace those below, except that features are added to the features.
// Its issuer is plain http; the same endpoints over TLS are the mtls_endpoint_aliases. Any password logs an account in.
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [packages, json] = process.argv.slice(2);
const settings = JSON.parse(json);
const { default: Provider, interactionPolicy } = await import(pathToFileURL(createRequire(packages + "/").resolve("oidc-provider")));

const issuer = `http://127.0.0.1:${settings.port}`;
const overTLS = `https://127.0.0.1:${settings.tlsPort}`;

const profile = (name, given, groups) => ({
  preferred_username: name, name: `${given} Doe`, given_name: given, family_name: "Doe",
  email: `${name}@example.com`, email_verified: true, groups,
});
const accounts = { john: profile("john", "John", ["staff"]), jane: profile("jane", "Jane", []) };

// A plain http connection has no certificate.
const certificate = (ctx) => ctx.req.socket.getPeerX509Certificate?.();

const subjectMatches = {
  tls_client_auth_subject_dn: (cert, expected) => cert.subject.split("\n").reverse().join(",") === expected, // RFC 4514
  tls_client_auth_san_dns: (cert, expected) => cert.checkHost(expected, { subject: "never", wildcards: false }) === expected,
};

const { features, ...configuration } = settings.configuration ?? {};

const policy = interactionPolicy.base();
policy.get("consent").checks.remove("native_client_prompt");
policy.get("consent").checks.remove("rar_prompt");

const provider = new Provider(issuer, {
  clients: settings.clients,
  clientAuthMethods: [
    "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt",
    "tls_client_auth", "self_signed_tls_client_auth", "none",
  ],
  jwks: settings.jwks,
  cookies: { keys: ["a-cookie-key-of-the-test-provider"] },
  scopes: ["openid", "offline_access", "profile", "email", "groups"],
  claims: {
    profile: ["preferred_username", "name", "given_name", "family_name"], email: ["email", "email_verified"], groups: ["groups"],
  },
  findAccount: (_ctx, sub) => accounts[sub] && { accountId: sub, claims: () => ({ sub, ...accounts[sub] }) },
  // What introspection and access tokens that are JWTs say of a person.
  extraTokenClaims: (_ctx, { accountId }) => accountId && {
    preferred_username: accountId, groups: accounts[accountId].groups,
  },
  // A login is enough: nobody is asked for consent.
  interactions: { policy },
  loadExistingGrant: async (ctx) => {
    const { client, session, params } = ctx.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope(params.scope);
    for (const resource of [params.resource ?? []].flat()) grant.addResourceScope(resource, params.scope);
    await grant.save();
    return grant;
  },
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed("refresh_token"), // without offline_access, as Keycloak does
  rotateRefreshToken: true,
  discovery: {
    mtls_endpoint_aliases: {
      token_endpoint: overTLS + "/token",
      introspection_endpoint: overTLS + "/token/introspection",
      revocation_endpoint: overTLS + "/token/revocation",
      userinfo_endpoint: overTLS + "/me",
      pushed_authorization_request_endpoint: overTLS + "/request",
    },
  },
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    jwtIntrospection: { enabled: true },
    jwtUserinfo: { enabled: true },
    revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
    // Access tokens are opaque; for a resource (RFC 8707), of whatever name, they are JWTs with it as their audience.
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx, resource) => ({
        audience: resource, accessTokenFormat: "jwt", scope: "openid profile email groups read write",
        jwt: { sign: { alg: "RS256" } },
      }),
    },
    // RFC 9396: what is requested is granted.
    richAuthorizationRequests: {
      enabled: true,
      types: { payment: { validate() {} } },
      authorizationDetailsForGrantSource: (ctx) => JSON.parse(ctx.oidc.params.authorization_details ?? "[]"),
      authorizationDetailsForAccessToken: (_ctx, _token, source) => source?.rar,
      authorizationDetailsForIntrospection: (_ctx, token) => token.rar,
    },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      certificateBoundAccessTokens: true,
      getCertificate: certificate,
      certificateAuthorized: (ctx) => ctx.req.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) => subjectMatches[property]?.(certificate(ctx), expected) ?? false,
    },
    ...features,
  },
  // Without its own guard, which refuses loopback.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  ...configuration,
});
provider.on("server_error", (_ctx, error) => console.error(error));
for (const name of ["grant.error", "introspection.error", "revocation.error", "userinfo.error", "authorization.error"]) {
  provider.on(name, (_ctx, { message, error_description, error_detail, cause }) => {
    console.error(`${name}: ${message}: ${error_description}: ${cause ?? error_detail ?? ""}`);
  });
}

const read = (file) => readFileSync(file);
const serve = provider.callback();
http.createServer(serve).listen(settings.port, "127.0.0.1");
https.createServer({
  cert: read(settings.certFile), key: read(settings.keyFile), ca: read(settings.caFile),
  requestCert: true, rejectUnauthorized: false, // self-signed ones too
}, serve).listen(settings.tlsPort, "127.0.0.1");
