package authserver

import (
	"fmt"
	"maps"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
)

// A record is the stored form of an access token, a code or a family. A family is all tokens of one authorization (RFC 7009 §2.1
// calls it the authorization grant). A record is immutable.
type record struct {
	Version  int      `json:"v"`
	Grant    string   `json:"g"` // client_credentials or authorization_code
	Issuer   string   `json:"iss"`
	ClientID string   `json:"cid"`
	Subject  string   `json:"sub"`           // the user, or the client if it acts for itself
	UserID   string   `json:"uid,omitempty"` // authenticated_userid; empty if the client acts for itself
	Scope    string   `json:"scope,omitempty"`
	Audience []string `json:"aud"`
	Resource string   `json:"res,omitempty"` // of a code and a family: for the audience of their tokens (RFC 8707); empty: none was named
	Issued   int64    `json:"iat"`           // Unix seconds
	Expires  int64    `json:"exp"`           // Unix seconds; of a family: of its refresh token
	Family   string   `json:"f,omitempty"`

	RedirectURI   string `json:"ru,omitempty"` // of a code: where it was sent
	RedirectAsked bool   `json:"ra,omitempty"` // of a code: the authorization request had a redirect_uri (RFC 6749 §4.1.3)
	Challenge     string `json:"cc,omitempty"` // of a code: code_challenge, S256 (RFC 7636 §4.3)

	// User is the user who gave consent, without tokens. It is nil if the external consent page named the user, or the client acts
	// for itself. All tokens of an authorization have it, so that policies judge the user whenever a token is issued or used.
	User    *auth.Identity `json:"u,omitempty"`
	Current []byte         `json:"rt,omitempty"` // of a family: the digest of its current refresh token
	Uses    []use          `json:"us,omitempty"` // of a family: the last uses of its refresh tokens, the newest last

	// Login has the tokens of the login, by which the provider is asked whether the user is still there. Only codes and families have it.
	Login   *auth.Tokens `json:"lg,omitempty"`
	Checked int64        `json:"ck,omitempty"` // when the provider was asked; Unix seconds

	raw string // the stored bytes, in a store of bytes
}

// A use is the first use of a refresh token, and the refresh token that took its place.
type use struct {
	Token     []byte `json:"t"` // digest
	Successor string `json:"s"`
	Time      int64  `json:"w"` // Unix milliseconds
}

const recordVersion = 2

func (r *record) expired(now time.Time) bool { return now.Unix() >= r.Expires }

func (r *record) expiry() time.Time { return time.Unix(r.Expires, 0) }

// lifetime returns the time between issue and expiry.
func (r *record) lifetime() time.Duration { return time.Duration(r.Expires-r.Issued) * time.Second }

// aim makes the resource the audience of an access token, if the client named one.
func (r *record) aim() {
	if r.Resource != "" {
		r.Audience = []string{r.Resource}
	}
}

// seal returns the bytes of a record, which are stored under name. The salt is the handle or the family's ID. The store doesn't
// have it, so the secret alone doesn't open a record.
func (r *record) seal(k *keyring.Keyring, name, salt string) (string, error) {
	return k.SealJSON("oauth2 record", name, salt, r)
}

// openRecord returns the record that seal sealed. The error wraps keyring.ErrRecord.
func openRecord(k *keyring.Keyring, name, salt, raw string) (*record, error) {
	r := &record{raw: raw}
	if err := k.OpenJSON("oauth2 record", name, salt, raw, r); err != nil {
		return nil, err
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("%w: its content has another format", keyring.ErrRecord)
	}
	return r, nil
}

// onBehalfOf returns the user of an access token as policies judge the user, or nil if no login has authenticated one. If the token
// and the user have a claim of the same name, the token's counts.
func (r *record) onBehalfOf(token *auth.Identity) *auth.User {
	if r.User == nil {
		return nil
	}
	withToken := func(claims auth.Claims) auth.Claims {
		both := auth.Claims{}
		maps.Copy(both, claims)
		maps.Copy(both, token.Introspection)
		return both
	}
	user := *token
	user.Introspection, user.IDToken, user.Userinfo = withToken(r.User.Judged()), r.User.IDToken, r.User.Userinfo
	if r.User.MappedFrom != nil {
		user.MappedFrom = withToken(r.User.MappedFrom)
	}
	return &auth.User{Issuer: r.User.Issuer, Identity: &user}
}

// withoutTokens returns a copy of an identity with only the fields that policies read.
func withoutTokens(i *auth.Identity) *auth.Identity {
	if i == nil {
		return nil
	}
	return &auth.Identity{
		Flow: i.Flow, Issuer: i.Issuer, ClientID: i.ClientID, Subject: i.Subject, AccessToken: i.AccessToken, IDToken: i.IDToken,
		Introspection: i.Introspection, Userinfo: i.Userinfo, MappedFrom: i.MappedFrom, Presented: i.Presented,
		Session: i.Session, BuiltIn: i.BuiltIn,
	}
}
