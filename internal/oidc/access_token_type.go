package oidc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// ErrNotAccessToken says that a JWT is not an access token.
var ErrNotAccessToken = errors.New("not_an_access_token")

// checkHeaderType refuses a typ that names another kind of JWT (RFC 8725 §3.11): logout+jwt, dpop+jwt, secevent+jwt,
// token-introspection+jwt, oauth-authz-req+jwt, and those to come. An access token has at+jwt (RFC 9068 §2.1), the unspecific JWT, or no
// typ.
func checkHeaderType(typ string) error {
	if slices.Contains([]string{"at+jwt", "jwt", ""}, typ) {
		return nil
	}
	return fmt.Errorf("%w: its typ is %q, expected at+jwt, JWT or none", ErrNotAccessToken, clip(typ))
}

// otherTokenTypes are values of the claim typ of JWTs that are not access tokens.
var otherTokenTypes = []string{"ID", "Serialized-ID", "Refresh", "Offline", "Logout", "InitialAccessToken", "RegistrationAccessToken"}

// checkTokenUse refuses claims of another kind of token: a security event (RFC 8417), an ID token, or a refresh or logout token of
// Keycloak. HeaderType is the typ of the header.
func checkTokenUse(headerType string, c auth.Claims) error {
	if _, ok := c["events"]; ok {
		return fmt.Errorf("%w: it has events, as security event tokens have", ErrNotAccessToken)
	}
	typ, use := c.String("typ"), c.String("token_use")
	if slices.ContainsFunc(otherTokenTypes, func(other string) bool { return strings.EqualFold(typ, other) }) {
		return fmt.Errorf("%w: it says typ %s", ErrNotAccessToken, typ)
	}
	if use != "" && use != "access" && use != "access_token" {
		return fmt.Errorf("%w: it says token_use %s", ErrNotAccessToken, clip(use))
	}
	names := []string{"at_hash", "c_hash", "s_hash", "nonce"}
	if headerType == "at+jwt" || typ == "Bearer" || typ == "DPoP" || use != "" {
		names = names[:3] // it says that it is an access token: a nonce alone doesn't make it an ID token
	}
	for _, name := range names {
		if _, ok := c[name]; ok {
			return fmt.Errorf("%w: it has %s, as ID tokens have", ErrNotAccessToken, name)
		}
	}
	return nil
}

// profileClaims are the claims that RFC 9068 §2.2 requires of an access token.
var profileClaims = []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti"}

// checkProfile refuses an access token that doesn't follow RFC 9068, if access_token_profile says so. With the typ at+jwt (§2.1) no ID
// token can be taken for an access token.
func (i *Issuer) checkProfile(t *jwt) error {
	if i.settings.AccessTokenProfile != "rfc9068" {
		return nil
	}
	if t.header.Typ != "at+jwt" {
		return fmt.Errorf("%w: its typ is %q, and access_token_profile requires at+jwt", ErrNotAccessToken, clip(t.header.Typ))
	}
	for _, name := range profileClaims {
		if v := t.claims[name]; v == nil || v == "" {
			return fmt.Errorf("%s: it is missing, and access_token_profile requires it (RFC 9068 §2.2)", name)
		}
	}
	return nil
}

// CheckUnread refuses a JWT whose unverified header or claims say that it is not an access token, or whose header has crit. It is called
// before the authorization server is asked about the token, because the server may not distinguish its kinds of tokens. An opaque token
// passes.
func CheckUnread(token string) error {
	if len(token) > maxJWT {
		return nil
	}
	parts, err := decodeJWS(token)
	if err != nil {
		return nil
	}
	header, err := parseHeader(parts[0])
	switch {
	case errors.Is(err, errCritical):
		return err
	case err != nil:
		return nil
	}
	if err := checkHeaderType(header.Typ); err != nil {
		return err
	}
	claims, err := decodeObject(parts[1])
	if err != nil {
		return nil
	}
	return checkTokenUse(header.Typ, claims)
}

// UnverifiedConfirmation returns the claim cnf of a JWT (RFC 7800 §3.1) without verification, or nil if the token isn't a JWT or has no
// such claim. It may only make a check stricter.
func UnverifiedConfirmation(token string) any {
	if len(token) > maxJWT {
		return nil
	}
	parts, err := decodeJWS(token)
	if err != nil || !mayHave(parts[1], confirmation) {
		return nil
	}
	claims, err := decodeObject(parts[1])
	if err != nil {
		return nil
	}
	return claims[confirmation]
}

const confirmation = "cnf"

// mayHave reports whether a JSON text can have a member of this name, at less than the cost of decoding it. A text with a backslash can,
// because a name may be written with escapes (RFC 8259 §7).
func mayHave(text []byte, name string) bool {
	return bytes.Contains(text, []byte(`"`+name+`"`)) || bytes.IndexByte(text, '\\') >= 0
}
