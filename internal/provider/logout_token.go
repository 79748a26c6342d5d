package provider

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	logoutEvent       = "http://schemas.openid.net/event/backchannel-logout"
	logoutTokenLife   = 2 * time.Minute
	backchannelWait   = 5 * time.Second
	maxLogoutResponse = 64 << 10
)

// LogoutToken issues a logout token for a client (OIDC Back-Channel Logout §2.4) without a request. It is about the user, and about no
// session unless overrides has sid. overrides replace claims; a nil value removes one.
func (p *Provider) LogoutToken(username, clientID string, overrides map[string]any, opts ...SignOption) string {
	g, now := p.mustGrant(username, clientID), p.now()
	claims := override(map[string]any{
		"iss": p.iss(), "aud": clientID, "sub": g.sub(), "iat": now.Unix(), "exp": now.Add(logoutTokenLife).Unix(), "jti": rand.Text(),
		"events": map[string]any{logoutEvent: map[string]any{}},
	}, overrides)
	return p.SignJWT(claims, append([]SignOption{WithAlg(g.client.IDTokenAlg), WithHeader("typ", "logout+jwt")}, opts...)...)
}

// EndSessions ends the sessions of a user at the provider, and sends a logout token to each client that has a BackchannelLogoutURI and
// tokens of such a session. It returns the status of each response, or an error in its place, by the client's ID and the sid.
func (p *Provider) EndSessions(username string) map[string]string {
	answers := map[string]string{}
	for _, s := range p.state.sessionsOf(p.user(username)) {
		for _, c := range p.state.endSession(s.sid) {
			if c.BackchannelLogoutURI != "" {
				answers[c.ID+" "+s.sid] = p.sendLogoutToken(c, s)
			}
		}
	}
	return answers
}

// sendLogoutToken sends a logout token for a session to a client (§2.5). It returns the status of the response, or the error.
func (p *Provider) sendLogoutToken(c *Client, s session) string {
	token := p.LogoutToken(s.user.Username, c.ID, map[string]any{"sid": s.sid})
	ctx, cancel := context.WithTimeout(context.Background(), backchannelWait)
	defer cancel()
	form := strings.NewReader(url.Values{"logout_token": {token}}.Encode())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BackchannelLogoutURI, form)
	if err != nil {
		return err.Error()
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, maxLogoutResponse))
	return fmt.Sprint(res.StatusCode)
}

// frontchannelURLs returns the addresses of the frames that end a session at its clients (OIDC Front-Channel Logout §2).
func (p *Provider) frontchannelURLs(clients []*Client, sid string) (all []string) {
	for _, c := range clients {
		if c.FrontchannelLogoutURI != "" {
			all = append(all, withQuery(c.FrontchannelLogoutURI, url.Values{"iss": {p.iss()}, "sid": {sid}}))
		}
	}
	return all
}

// sessionsOf returns the sessions of a user.
func (s *state) sessionsOf(u *User) (all []session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.sessions {
		if v.user == u {
			all = append(all, *v)
		}
	}
	return all
}

// clientsOf returns the clients that have tokens of a session, each once; mu must be held.
func (s *state) clientsOf(sid string) (all []*Client) {
	s.eachGrant(func(g *grant) {
		if g.session.sid == sid && sid != "" && !slices.Contains(all, g.client) {
			all = append(all, g.client)
		}
	})
	return all
}
