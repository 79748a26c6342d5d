package authserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
)

// A record is what is kept of an access token, a code or a family: all tokens that came of one authorization (RFC 7009
// §2.1 calls it the grant). It is immutable.
type record struct {
	Version  int      `json:"v"`
	Grant    string   `json:"g"` // client_credentials or authorization_code
	Issuer   string   `json:"iss"`
	ClientID string   `json:"cid"`
	Subject  string   `json:"sub"`           // the user, or the client where it acts for itself
	UserID   string   `json:"uid,omitempty"` // authenticated_userid; empty where no user stands behind it
	Scope    string   `json:"scope,omitempty"`
	Audience []string `json:"aud"`
	Issued   int64    `json:"iat"` // Unix seconds
	Expires  int64    `json:"exp"` // Unix seconds; of a family: of its refresh token
	Family   string   `json:"f,omitempty"`

	RedirectURI   string `json:"ru,omitempty"` // of a code: where it was sent
	RedirectAsked bool   `json:"ra,omitempty"` // of a code: the request named it (RFC 6749 §4.1.3)
	Challenge     string `json:"cc,omitempty"` // of a code: code_challenge, S256 (RFC 7636 §4.3)
	// User is who agreed; nil where a trusted page named the user, or the client acts for itself. It has no tokens. All that
	// comes of one authorization has it, so that policies judge the user whenever a token is issued or used.
	User    *auth.Identity `json:"u,omitempty"`
	Current []byte         `json:"rt,omitempty"` // of a family: the digest of its refresh token

	raw string // the bytes that it was read from, in a store that keeps bytes
}

const recordVersion = 2

func (r *record) expired(now time.Time) bool { return now.Unix() >= r.Expires }

func (r *record) expiry() time.Time { return time.Unix(r.Expires, 0) }

// life is how long an access token is good in all.
func (r *record) life() time.Duration { return time.Duration(r.Expires-r.Issued) * time.Second }

// seal returns the bytes of a record, to be stored under name. The salt is the handle or the family's ID, which the store
// doesn't know: not even the secret opens a record without it.
func (r *record) seal(k *keyring.Keyring, name, salt string) (string, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	return k.SealRecord("oauth2 record", name, salt, plain)
}

func openRecord(k *keyring.Keyring, name, salt, raw string) (*record, error) {
	plain, err := k.OpenRecord("oauth2 record", name, salt, raw)
	if err != nil {
		return nil, err
	}
	r := &record{raw: raw}
	if err := json.Unmarshal(plain, r); err != nil {
		return nil, fmt.Errorf("%w: %w", keyring.ErrRecord, err)
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("%w: its content has another format", keyring.ErrRecord)
	}
	return r, nil
}

// onBehalfOf returns the user of an access token whose identity this is, as policies judge the user; nil if no login has
// proved one. The token's own claims go before the user's.
func (r *record) onBehalfOf(token *auth.Identity) *auth.User {
	if r.User == nil {
		return nil
	}
	over := func(claims auth.Claims) auth.Claims {
		both := auth.Claims{}
		maps.Copy(both, claims)
		maps.Copy(both, token.Introspection)
		return both
	}
	user := *token
	user.Introspection, user.IDToken, user.Userinfo = over(r.User.Judged()), r.User.IDToken, r.User.Userinfo
	if r.User.MappedFrom != nil {
		user.MappedFrom = over(r.User.MappedFrom)
	}
	return &auth.User{Issuer: r.User.Issuer, Identity: &user}
}

// kernel returns what a policy looks at in an identity: all but tokens and keys.
func kernel(i *auth.Identity) *auth.Identity {
	if i == nil {
		return nil
	}
	return &auth.Identity{
		Flow: i.Flow, Issuer: i.Issuer, ClientID: i.ClientID, Subject: i.Subject, AccessToken: i.AccessToken, IDToken: i.IDToken,
		Introspection: i.Introspection, Userinfo: i.Userinfo, MappedFrom: i.MappedFrom, Presented: i.Presented,
		Session: i.Session, BuiltIn: i.BuiltIn,
	}
}
