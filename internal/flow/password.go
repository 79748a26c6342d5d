package flow

import (
	"errors"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"sallyport/internal/auth"
	"sallyport/internal/cache"
	"sallyport/internal/oidc"
)

// PasswordSettings say where a person's name and password are read from.
type PasswordSettings struct {
	PasswordParamType []string `yaml:"password_param_type" place:"true" default:"[header]" enum:"header,query,body" min:"1"`
}

// password exchanges a person's name and password for tokens (RFC 6749 §4.3), with the gate's own client.
type password struct {
	places
	clients *clients
	copied  copied
	replay  replay
	kinds   *kinds // nil where Basic is a person's only
}

var passwordKind = Kind{
	Name: "password", new: newPassword, asks: oidc.Examination{Token: true},
	places: func(s *Settings) []string { return s.PasswordParamType }, schemes: inBasic,
}

func newPassword(s *Settings, d *Deps) auth.Flow {
	return &password{places: newPlaces(s.PasswordParamType, s), clients: d.clients, copied: d.tokenArgs(s), replay: newReplay(s, oidc.GrantPassword), kinds: d.kinds}
}

// Authenticate takes a Basic header that could be either for a person's first and for a client's then: only if the issuer
// refuses it as a person's, the chain goes on.
func (f *password) Authenticate(r *auth.Request) (*auth.Result, error) {
	who, err := f.pair(r, "username", "password")
	if err != nil {
		return nil, err
	}
	if who.basic && f.kinds.isClient(who) {
		return nil, auth.ErrNoCredential
	}
	by, err := f.copied.caller(r)
	if err != nil {
		return nil, err
	}
	client := f.clients.of(r)
	t, err := client.Password(r.Context(), who.name, who.secret, by)
	if err != nil {
		err = grantError("password_refused", err)
		if who.basic && f.kinds != nil && errors.Is(err, oidc.ErrRefused) {
			return nil, fmt.Errorf("%w: no user's: %w", auth.ErrNoCredential, err)
		}
		return nil, err
	}
	return f.replay.result(&passwordKind, t, who.at), nil
}

// kinds remember which Basic credentials are a client's, on routes where they could be a person's too: so that the issuer
// isn't asked for a user of that name again and again, which could lock one out.
type kinds struct {
	secret  []byte // of its keys
	clients *otter.Cache[cache.Key, struct{}]
}

const (
	maxKinds    = 10_000
	kindsLinger = 24 * time.Hour
)

func newKinds(secret []byte) *kinds {
	return &kinds{secret, otter.Must(&otter.Options[cache.Key, struct{}]{
		MaximumSize: maxKinds, ExpiryCalculator: otter.ExpiryAccessing[cache.Key, struct{}](kindsLinger),
	})}
}

func (k *kinds) remember(p pair) {
	if k != nil {
		k.clients.Set(k.key(p), struct{}{})
	}
}

func (k *kinds) isClient(p pair) bool {
	if k == nil {
		return false
	}
	_, known := k.clients.GetIfPresent(k.key(p))
	return known
}

func (k *kinds) key(p pair) cache.Key { return cache.KeyOf(k.secret, p.name, string(p.secret)) }
