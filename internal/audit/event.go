// Package audit writes the audit stream: a line of JSON for each login, logout, refusal, issued token and act of administration. The
// names of events and fields are stable, and configs/audit.md documents them. No field has a token, a code, a secret or a cookie.
package audit

import "time"

// The names of events.
const (
	Login            = "login"             // a login began
	Logout           = "logout"            // logins ended
	Refusal          = "refusal"           // a request was refused
	TokenIssued      = "token_issued"      // the built-in authorization server issued an access token
	ClientRegistered = "client_registered" // a client of the built-in authorization server registered itself
	Administration   = "administration"    // an operator or an administrator did something
)

// How a login began.
const (
	ByBrowser    = "browser"    // at the issuer, with a browser; also of a logout: at the gate's logout path
	ByCredential = "credential" // a session began for a credential of an API
	ByRemember   = "remember"   // a remember cookie resumed the session
)

// How a login ended.
const (
	ByBackChannel    = "back-channel"    // the provider's logout token
	ByFrontChannel   = "front-channel"   // the provider's frame in the browser
	ByAdministration = "administration"  // the admin API or sallyport sessions end
	ByRefresh        = "refresh_refused" // the issuer refused the refresh, or its answer doesn't fit the login
	ByVerification   = "tokens_invalid"  // the tokens don't verify any more (reverify)
	ByOtherSubject   = "other_subject"   // the browser logged in as another subject (session_enforce_same_subject)
)

// The actions of administration.
const (
	Started          = "start"
	Stopped          = "stop"
	Reloaded         = "reload"
	ReloadRefused    = "reload_refused"
	KeysRotated      = "keys_rotated"
	IssuersForgotten = "issuers_forgotten"
	ConsoleLogin     = "console_login"         // with the admin token
	ConsoleRefused   = "console_login_refused" // with another one
)

// An Event is one line of the stream. Fields that are empty are left out.
type Event struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event"`

	RequestID string `json:"request_id,omitempty"`
	Client    string `json:"client,omitempty"` // the client's address
	Route     string `json:"route,omitempty"`
	Rule      string `json:"rule,omitempty"`     // file:line
	Endpoint  string `json:"endpoint,omitempty"` // of the gate
	Flow      string `json:"flow,omitempty"`

	Issuer   string `json:"issuer,omitempty"`
	Subject  string `json:"sub,omitempty"`
	ClientID string `json:"client_id,omitempty"`

	How         string `json:"how,omitempty"`    // of a login or logout
	Status      int    `json:"status,omitempty"` // of a refusal
	Why         string `json:"reason,omitempty"` // of a refusal
	Grant       string `json:"grant_type,omitempty"`
	Action      string `json:"action,omitempty"`
	Actor       string `json:"actor,omitempty"` // the sub of the person who ended logins in the console behind a route
	ActorIssuer string `json:"actor_issuer,omitempty"`
	By          string `json:"by,omitempty"`    // the parameters by which sessions were selected
	Ended       *int   `json:"ended,omitempty"` // the number of logins
}
