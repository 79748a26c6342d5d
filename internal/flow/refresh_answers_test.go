package flow_test

import (
	"fmt"
	"testing"
	"time"

	"sallyport/internal/provider"
)

// The effects of a response to a refresh on the session.
const (
	over    = "a refusal of the grant: the session ends"
	ours    = "an error for the operator: the session continues until its access token expires, then the refresh is tried once more"
	trouble = "an outage: the session continues until its access token expires, then requests are 503"
)

var refreshAnswers = []struct {
	status        int
	body, meaning string
}{
	{400, `{"error":"invalid_grant"}`, over},
	{401, `{"error":"invalid_grant"}`, over},
	{200, `{"error":"invalid_grant"}`, over},
	{400, `{"error":"interaction_required"}`, over},
	{400, `{"error":"login_required"}`, over},
	{400, `{"error":"consent_required"}`, over},
	{400, `{"error":"invalid_request"}`, ours},
	{400, `{"error":"invalid_scope"}`, ours},
	{400, `{"error":"access_denied"}`, ours},
	{400, `{"error":"of no standard"}`, ours},
	{200, `{"error":"of no standard"}`, ours},
	{200, `{"error":1,"access_token":"a"}`, ours},
	{400, `<html>`, ours},
	{403, ``, ours},
	{404, `not found`, ours},
	{401, `{"error":"invalid_client"}`, ours},
	{400, `{"error":"unauthorized_client"}`, ours},
	{408, ``, trouble},
	{425, `<html>`, trouble},
	{429, `{"error":"invalid_grant"}`, trouble},
	{500, `{"error":"invalid_grant"}`, trouble},
	{503, ``, trouble},
	{400, `{"error":"temporarily_unavailable"}`, trouble},
	{200, `{"error":"server_error"}`, trouble},
	{200, `<html>`, trouble},
}

// TestRefreshAnswers: the effect of each response to a refresh on the session.
func TestRefreshAnswers(t *testing.T) {
	w := newWorld(t)
	for _, c := range refreshAnswers {
		t.Run(fmt.Sprint(c.status, " ", c.body), func(t *testing.T) {
			g := w.newGate(t, browserFlows)
			g.warm()
			r := g.carries(g.login("john"))
			g.answers(provider.Token, c.status, "application/json", c.body)
			w.clock.advance(5*time.Minute - time.Second) // a second before the access token expires
			if c.meaning == over {
				g.expect(row{ask: always(r), want: goesOn, calls: calls{provider.Token: 1}, more: clears})
				g.mend()
				g.expect(row{ask: always(r), want: goesOn, more: clears})
				return
			}
			g.expect(row{ask: always(r), want: passes, calls: calls{provider.Token: 1}})
			if c.meaning == ours {
				g.expect(row{ask: always(r), want: passes}) // no second attempt
			}
			w.clock.advance(2 * time.Second)
			if c.meaning == trouble {
				g.expect(row{ask: always(r), want: away, calls: calls{provider.Token: 1}, more: keeps})
				g.mend()
				g.expect(row{ask: always(r), want: passes, calls: calls{provider.Token: 1}})
				return
			}
			g.expect(row{ask: always(r), want: goesOn, calls: calls{provider.Token: 1}, more: clears})
		})
	}
	t.Run("mended before the access token expires", func(t *testing.T) {
		g := w.newGate(t, browserFlows)
		g.warm()
		r := g.carries(g.login("john"))
		g.answers(provider.Token, 401, "application/json", `{"error":"invalid_client"}`)
		w.clock.advance(5*time.Minute - time.Second)
		g.expect(row{ask: always(r), want: passes, calls: calls{provider.Token: 1}})
		g.mend()
		w.clock.advance(2 * time.Second)
		g.expect(row{ask: always(r), want: passes, calls: calls{provider.Token: 1}, more: isJohns})
		g.expect(row{ask: always(r), want: passes})
		w.clock.advance(5*time.Minute - time.Second)
		g.expect(row{ask: always(r), want: passes, calls: calls{provider.Token: 1}}) // ahead of its end again
	})
}
