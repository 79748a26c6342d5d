package flow

import (
	"errors"
	"net/http/httptest"
	"slices"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// badge authenticates requests by the header Badge.
type badge struct{}

func (badge) Authenticate(r *auth.Request) (*auth.Result, error) {
	name := r.Header.Get("Badge")
	if name == "" {
		return nil, auth.ErrNoCredential
	}
	return &auth.Result{Identity: &auth.Identity{Subject: name}}, nil
}

// TestAddedKind: a flow is added by its Kind alone.
func TestAddedKind(t *testing.T) {
	p := startProvider(t)
	before := table
	defer func() { table = before }()
	table = append(slices.Clone(table), &Kind{
		Name: "badge", new: func(*base, *Kind) auth.Flow { return badge{} }, requires: oidc.Examination{Token: true},
		places: func(view) []string { return []string{"header"} }, schemes: basicScheme,
	})
	part := newPart(t, p, []Method{"bearer"}, "header")
	part.Settings.AuthMethods = append(part.Settings.AuthMethods, "badge")
	route := mustRoute(t, part)
	chain := route.Chain
	r := &auth.Request{Request: httptest.NewRequest("GET", "/", nil)}
	if _, err := chain.Authenticate(r); !errors.Is(err, auth.ErrNoCredential) {
		t.Errorf("without a badge: %v", err)
	}
	r.Header.Set("Badge", "john")
	if res, err := chain.Authenticate(r); err != nil || res.Identity.Subject != "john" {
		t.Errorf("with a badge: %v", err)
	}
	if !route.Basic || !slices.Contains(route.Schemes, "basic") || !part.Settings.Examination("/", "").Token {
		t.Error("the route doesn't know where the kind reads and what it needs")
	}
	if values, defaults := Method("").Choices("disable_session"); !slices.Contains(values, "badge") || !slices.Contains(defaults, "badge") {
		t.Errorf("disable_session takes %q, by default %q", values, defaults)
	}
	other := newPart(t, p, []Method{"bearer"}, "header")
	chain = mustRoute(t, other, part).Chain
	if res, err := chain.Authenticate(r); err != nil || res.Identity.Subject != "john" {
		t.Errorf("with a badge, for the second of two issuers: %v", err)
	}
}

// TestRefusalsNameTheirFlow: the error of a refused credential has the name of the flow, for the log.
func TestRefusalsNameTheirFlow(t *testing.T) {
	one, two := startProvider(t), startProvider(t)
	bearer := []Method{"bearer"}
	for name, chain := range map[string]auth.Chain{
		"one issuer":  mustRoute(t, newPart(t, one, bearer, "header")).Chain,
		"two issuers": mustRoute(t, newPart(t, two, bearer, "header"), newPart(t, one, bearer, "header")).Chain,
	} {
		r := &auth.Request{Request: httptest.NewRequest("GET", "/", nil)}
		r.Header.Set("Authorization", "Bearer "+one.AccessToken("john", "app", map[string]any{"exp": 1000}))
		if _, err := chain.Authenticate(r); auth.AsError(err).Flow != "bearer" {
			t.Errorf("%s: the refusal names %q: %v", name, auth.AsError(err).Flow, err)
		}
	}
}
