package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A reads is a flow with a fixed result, and a Challenger if it has an answer.
type reads func() (*Result, error)

func (f reads) Authenticate(*Request) (*Result, error) { return f() }

// chainOf returns the chain of flows without names.
func chainOf(flows ...Flow) (c Chain) {
	for _, f := range flows {
		c = append(c, Entry{Flow: f})
	}
	return c
}

func none() (*Result, error) { return nil, fmt.Errorf("another scheme: %w", ErrNoCredential) }

func cleared() (*Result, error) {
	return nil, WithHeader(fmt.Errorf("it doesn't open: %w", ErrNoCredential), http.Header{"Set-Cookie": {"old=; Max-Age=0"}})
}

func good() (*Result, error) {
	return &Result{Identity: &Identity{Subject: "john"}, Header: http.Header{"Set-Cookie": {"new=1"}}}, nil
}

func bad() (*Result, error) { return nil, InvalidToken("token_expired", errors.New("an hour ago")) }

// The chain ends at the first credential, good or bad. The response headers of the flows before it are kept.
func TestChain(t *testing.T) {
	never := reads(func() (*Result, error) { t.Error("a flow was asked after the search had ended"); return none() })
	for _, c := range []struct {
		name    string
		chain   Chain
		subject string
		reason  string // of the final error; empty: none
		cookies string
	}{
		{"nobody", chainOf(reads(none), reads(none)), "", "", ""},
		{"nobody, and a cookie to clear", chainOf(reads(cleared), reads(none)), "", "", "old=; Max-Age=0"},
		{"the second", chainOf(reads(none), reads(good), never), "john", "", "new=1"},
		{"after a cookie to clear", chainOf(reads(cleared), reads(good), never), "john", "", "old=; Max-Age=0 new=1"},
		{"a bad one is final", chainOf(reads(cleared), reads(bad), never, reads(good)), "", "token_expired", "old=; Max-Age=0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := c.chain.Authenticate(&Request{})
			subject, header := "", HeaderOf(err)
			if err == nil {
				subject, header = res.Identity.Subject, res.Header
			}
			if subject != c.subject || strings.Join(header["Set-Cookie"], " ") != c.cookies || err != nil && res != nil {
				t.Errorf("got %q with %q, want %q with %q", subject, header["Set-Cookie"], c.subject, c.cookies)
			}
			switch {
			case c.reason != "":
				if errors.Is(err, ErrNoCredential) || AsError(err).Reason != c.reason {
					t.Errorf("got %v, want a final %s", err, c.reason)
				}
			case c.subject == "":
				if !errors.Is(err, ErrNoCredential) {
					t.Errorf("got %v, want ErrNoCredential", err)
				}
			case err != nil:
				t.Error(err)
			}
		})
	}
}

// Merging headers into a result makes a copy, because a cached result serves other requests at the same time.
func TestChainLeavesResultsAlone(t *testing.T) {
	kept := &Result{Header: http.Header{"X": {"1"}}}
	chain := chainOf(reads(cleared), reads(func() (*Result, error) { return kept, nil }))
	for range 2 {
		res, err := chain.Authenticate(&Request{})
		if err != nil || len(res.Header) != 2 || len(kept.Header) != 1 || len(kept.Header["X"]) != 1 {
			t.Fatalf("%v, the answer has %v, what is kept %v", err, res.Header, kept.Header)
		}
	}
}

type challenges struct {
	reads
	status int // 0: it can't
}

func (c challenges) Challenge(*Request, Login) (*Answer, error) {
	if c.status == 0 {
		return nil, ErrNoCredential
	}
	return &Answer{Status: c.status}, nil
}

// The last flow that can challenge a request does: a login comes before a 401.
func TestChainChallenge(t *testing.T) {
	unauthorized, login, cant := challenges{none, http.StatusUnauthorized}, challenges{none, http.StatusFound}, challenges{reads: none}
	for _, c := range []struct {
		chain Chain
		want  int
	}{
		{chainOf(unauthorized, reads(none), login), http.StatusFound},
		{chainOf(unauthorized, cant, reads(none)), http.StatusUnauthorized},
		{chainOf(cant, reads(none)), 0},
	} {
		a, err := c.chain.Challenge(&Request{}, Login{})
		if c.want == 0 {
			if !errors.Is(err, ErrNoCredential) {
				t.Errorf("got %v, %v, want ErrNoCredential", a, err)
			}
		} else if err != nil || a.Status != c.want {
			t.Errorf("got %v, %v, want %d", a, err, c.want)
		}
	}
}

// A refusal names the flow and the issuer of its entry, in a copy: the error may be one that all refusals of a flow share. What
// the steps before a failure have for the browser isn't lost.
func TestEntry(t *testing.T) {
	shared := InvalidToken("token_expired", nil)
	cookie := func(text string) http.Header { return http.Header{"Set-Cookie": {text}} }
	chain := Chain{
		{Name: "first", Flow: reads(cleared)},
		{Name: "second", Issuer: "https://idp.example.com", Flow: reads(good), Steps: []Step{
			func(_ *Request, r *Result) (*Result, error) { return r.with(cookie("step=1")), nil },
			func(*Request, *Result) (*Result, error) { return nil, shared },
			func(*Request, *Result) (*Result, error) {
				t.Error("a step was taken after one had failed")
				return nil, nil
			},
		}},
	}
	_, err := chain.Authenticate(&Request{})
	e := AsError(err)
	if e.Flow != "second" || e.Issuer != "https://idp.example.com" || shared.Flow != "" || shared.Header != nil {
		t.Errorf("got flow %q of issuer %q, and the shared error is %+v", e.Flow, e.Issuer, shared)
	}
	if got := strings.Join(e.Header["Set-Cookie"], " "); got != "old=; Max-Age=0 step=1 new=1" {
		t.Errorf("the refusal has the cookies %q", got)
	}
	inner := Chain{{Name: "outer", Flow: chain[1].Flow, Steps: []Step{func(*Request, *Result) (*Result, error) { return nil, err }}}}
	if _, err := inner.Authenticate(&Request{}); AsError(err).Flow != "second" {
		t.Errorf("the name of the flow that refused is replaced by %q", AsError(err).Flow)
	}
}
