package flow

import (
	"errors"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// badge proves whoever sends the header Badge.
type badge struct{}

func (badge) Authenticate(r *auth.Request) (*auth.Result, error) {
	name := r.Header.Get("Badge")
	if name == "" {
		return nil, auth.ErrNoCredential
	}
	return &auth.Result{Identity: &auth.Identity{Flow: "badge", Subject: name}}, nil
}

// TestAddedKind: a flow is added by its Kind alone.
func TestAddedKind(t *testing.T) {
	p := startProvider(t)
	before := table
	defer func() { table = before }()
	table = append(slices.Clone(table), &Kind{
		Name: "badge", new: func(*Settings, *Deps) auth.Flow { return badge{} }, asks: oidc.Examination{Token: true},
		places: func(*Settings) []string { return []string{"header"} }, schemes: inBasic,
	})
	part := newPart(t, p, []string{"bearer"}, "header")
	part.Settings.AuthMethods = append(part.Settings.AuthMethods, "badge")
	chain, err := NewChain(part.Settings, part.Deps)
	if err != nil {
		t.Fatal(err)
	}
	r := &auth.Request{Request: httptest.NewRequest("GET", "/", nil)}
	if _, err := chain.Authenticate(r); !errors.Is(err, auth.ErrNoCredential) {
		t.Errorf("without a badge: %v", err)
	}
	r.Header.Set("Badge", "john")
	if res, err := chain.Authenticate(r); err != nil || res.Identity.Subject != "john" {
		t.Errorf("with a badge: %v", err)
	}
	one := []Part{part}
	if !AsksForBasic(one) || !slices.Contains(AuthorizationSchemes(one), "basic") || !part.Settings.Examination("/", "").Token {
		t.Error("nobody asks the kind where it reads and what it needs")
	}
	other := newPart(t, p, []string{"bearer"}, "header")
	chain, err = NewChainOf([]Part{other, part})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := chain.Authenticate(r); err != nil || res.Identity.Subject != "john" {
		t.Errorf("with a badge, for the second of two issuers: %v", err)
	}
}

// TestNamesOfKinds: auth_methods takes the kinds of the table, and no other name.
func TestNamesOfKinds(t *testing.T) {
	var names []string
	for _, k := range table {
		if k.Name != "" {
			names = append(names, k.Name)
		}
	}
	field, _ := reflect.TypeFor[Settings]().FieldByName("AuthMethods")
	allowed := strings.Split(field.Tag.Get("enum"), ",")
	slices.Sort(names)
	slices.Sort(allowed)
	if !slices.Equal(names, allowed) {
		t.Errorf("the kinds are %q, auth_methods takes %q", names, allowed)
	}
}
