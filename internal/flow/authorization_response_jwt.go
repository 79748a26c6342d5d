package flow

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// An authorizationResponse has the parameters of an authorization response. They aren't verified before code is called.
type authorizationResponse struct {
	params url.Values
	jwt    *oidc.ResponseJWT // that has the parameters (JARM); nil: they came as they are
}

// plainParameters are those of an authorization response that isn't a JWT. None of them may stand beside a JWT.
var plainParameters = []string{"code", "error", "id_token", "access_token", "state", "iss"}

// open returns the authorization response in the parameters of a request. If a JWT was asked for, a plain response is refused: an attacker
// could have replaced the one by the other. Only a browser with a pending login causes the decryption of a JWT.
func (f *authorizationCode) open(r *auth.Request, params url.Values) (*authorizationResponse, error) {
	if !f.settings.isJWT() {
		return &authorizationResponse{params: params}, nil
	}
	for _, name := range plainParameters {
		if params.Has(name) {
			return nil, staleLogin(r, f.home, fmt.Errorf("the authorization response has %s outside of a JWT, and response_mode is %s",
				name, f.settings.ResponseMode))
		}
	}
	switch {
	case len(params["response"]) != 1:
		return nil, staleLogin(r, f.home, errors.New("the authorization response has no response, or more than one (JARM §2.3)"))
	case len(r.AllCookies()) == 0:
		return nil, noLoginCookie(r, f.home)
	case len(f.cookies.pendingLogins(r)) == 0:
		return nil, staleLogin(r, f.home, errors.New("this browser has no pending login"))
	}
	jwt, err := f.clients.first().ParseResponse(params.Get("response"))
	if err != nil {
		return nil, staleLogin(r, f.home, fmt.Errorf("the authorization response: %w", err))
	}
	return &authorizationResponse{jwt.Parameters(), jwt}, nil
}

// code verifies the response for the client of its login, and returns its code. The error is that of the response if it has one.
func (a *authorizationResponse) code(ctx context.Context, client *oidc.Client) (string, error) {
	var err error
	if a.jwt != nil {
		err = client.VerifyResponse(ctx, a.jwt)
	} else {
		err = client.CheckResponseIssuer(ctx, a.params["iss"])
	}
	if err != nil {
		return "", err
	}
	if code := a.params.Get("error"); code != "" {
		return "", client.ResponseError(code, a.params.Get("error_description"))
	}
	if len(a.params["code"]) != 1 || a.params.Get("code") == "" {
		return "", errors.New("the authorization response has no code, or more than one")
	}
	return a.params.Get("code"), nil
}

// frontIDToken returns the claims of the ID token in an authorization response with response type code id_token; nil if another type was
// asked for.
func (f *authorizationCode) frontIDToken(ctx context.Context, client *oidc.Client, l *login, params url.Values) (auth.Claims, error) {
	if !f.settings.hasIDToken() {
		return nil, nil
	}
	if len(params["id_token"]) != 1 {
		return nil, errors.New("the authorization response has no id_token, or more than one, and response_type is code id_token")
	}
	return client.FrontChannelIDToken(ctx, params.Get("id_token"),
		oidc.FrontChannel{Nonce: l.nonce(), State: params.Get("state"), Code: params.Get("code")})
}
