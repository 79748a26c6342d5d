package console

import (
	"net/netip"
	"time"
)

// An Overview is the state of the process.
type Overview struct {
	Version, Commit string
	Started         time.Time
	Loaded          time.Time // when the running configuration was loaded
	File            string    // of the configuration
	Digest          string    // of the configuration, without its secrets
	Routes          int
	Watched         bool    // changed files cause a reload
	Refused         *Reload // the last reload, if it was refused
	Warnings        []string
	State           string // ready, starting, not ready or stopping
	Parts           []Part
	Listeners       []Listener
}

// A Reload is a reload that was refused.
type Reload struct {
	Time     time.Time
	Problems []string // each with its file:line, if it has one
}

// A Part is a server that the gate needs.
type Part struct {
	Kind, Name string
	Answered   bool   // at least once
	Failure    string // of the last probe; empty: it can be used
}

// A Listener is an open listener.
type Listener struct {
	For     string // clients, admin, or the proxy that asks at it
	Address string
	TLS     bool
}

// A Route is a route as it is configured.
type Route struct {
	Name, Place  string // Place is file:line
	Hosts, Paths []string
	PublicURL    string
	Kind         string // what it is besides a route to an upstream, such as "console"; empty: nothing
	Targets      []Target
	Issuers      []string
	Flows        []string // in the order in which they are tried
	Requires     []string // of every request
	Rules        []Rule   // in order: the first that matches counts
}

// A Target is a server of the upstream.
type Target struct {
	Name   string
	Usable bool // it gets requests
}

// A Rule is a rule of a route.
type Rule struct {
	Place      string   // file:line
	Matches    []string // empty: every request
	Auth       string
	Requires   []string
	ReportOnly bool
}

// Keys are the issuers with their keys, and the keys of the gate.
type Keys struct {
	Issuers []Issuer
	Own     []Key
	Failure string // why keys of the gate may be missing
}

// An Issuer is an authorization server.
type Issuer struct {
	URL         string
	Discovered  time.Time // when the metadata was fetched; zero: not yet
	KeysFetched time.Time
	Failure     string // of the last fetch or call; empty: it succeeded
	Keys        []Key
}

// A Key is a public key.
type Key struct{ ID, Type, Algorithm, Use string }

// A Query selects sessions: those for which all its fields that are set are equal.
type Query struct{ Subject, SID, Issuer, ClientID, Route string }

// Sessions is a page of sessions.
type Sessions struct {
	Found []Session
	Next  string // the name of the next page; empty: this is the last one
	None  string // why no session can be listed; empty: they can
}

// A Session is one login of a user.
type Session struct {
	Key      string // by which Ending names it
	Subject  string
	SID      string
	Issuer   string
	ClientID string
	Route    string
	Client   netip.Addr // of the user at the login
	Created  time.Time
	Used     time.Time
	Storage  string
}

// An Ending says which sessions end, and who ends them.
type Ending struct {
	Query
	Key string // of one session; empty: all that are selected
	By  Actor
}

// An Actor is who ends sessions.
type Actor struct {
	Client          string // the address
	Issuer, Subject string // empty: somebody with the admin token
}

// A Refusal is a request that the gate refused.
type Refusal struct {
	Number    uint64
	Time      time.Time
	RequestID string
	Method    string
	Origin    string
	Path      string
	Client    netip.Prefix
	Route     string
	Endpoint  string
	Flow      string
	Subject   string
	Reason    string
	Status    int
	Explain   func() Explanation
}

// An Explanation has the steps of a decision, as sallyport explain writes them.
type Explanation struct {
	Steps  []Step
	Result string
}

// A Step is one step of a decision.
type Step struct {
	Name, Detail string
	Refuses      bool // the request is refused because of this step
}
