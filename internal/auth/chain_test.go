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

func none() (*Result, error) { return nil, fmt.Errorf("another scheme: %w", ErrNoCredential) }

func cleared() (*Result, error) {
	return &Result{Header: http.Header{"Set-Cookie": {"old=; Max-Age=0"}}}, fmt.Errorf("it doesn't open: %w", ErrNoCredential)
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
		{"nobody", Chain{reads(none), reads(none)}, "", "", ""},
		{"nobody, and a cookie to clear", Chain{reads(cleared), reads(none)}, "", "", "old=; Max-Age=0"},
		{"the second", Chain{reads(none), reads(good), never}, "john", "", "new=1"},
		{"after a cookie to clear", Chain{reads(cleared), reads(good), never}, "john", "", "old=; Max-Age=0 new=1"},
		{"a bad one is final", Chain{reads(cleared), reads(bad), never, reads(good)}, "", "token_expired", "old=; Max-Age=0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := c.chain.Authenticate(&Request{})
			subject := ""
			if res.Identity != nil {
				subject = res.Identity.Subject
			}
			if subject != c.subject || strings.Join(res.Header["Set-Cookie"], " ") != c.cookies {
				t.Errorf("got %q with %q, want %q with %q", subject, res.Header["Set-Cookie"], c.subject, c.cookies)
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
	chain := Chain{reads(cleared), reads(func() (*Result, error) { return kept, nil })}
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
		{Chain{unauthorized, reads(none), login}, http.StatusFound},
		{Chain{unauthorized, cant, reads(none)}, http.StatusUnauthorized},
		{Chain{cant, reads(none)}, 0},
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
