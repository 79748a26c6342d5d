package e2e

import (
	"net/http"
	"slices"
	"testing"
)

// mustLevels gives a client, which the test has created, a login flow with two levels of authentication until the test ends. silver
// is the login form; gold asks for the password again, in each login.
func (a *admin) mustLevels(t *testing.T, realm, clientID string) {
	t.Helper()
	f := &loginFlow{a, "/" + realm + "/authentication/flows", unique("levels")}
	a.mustDo(t, http.MethodPost, f.path, object{"alias": f.top, "providerId": "basic-flow", "topLevel": true, "builtIn": false}, nil)
	var all []object
	a.mustDo(t, http.MethodGet, f.path, nil, &all)
	id := all[slices.IndexFunc(all, func(o object) bool { return o["alias"] == f.top })]["id"].(string)
	flow := func(alias string) object { return object{"alias": alias, "type": "basic-flow"} }
	f.mustAdd(t, f.top, "ALTERNATIVE", "execution", object{"provider": "auth-cookie"})
	f.mustAdd(t, f.top, "ALTERNATIVE", "flow", flow(f.top+"-forms"))
	for _, level := range []struct{ number, maxAge, form string }{{"1", "36000", "auth-username-password-form"},
		{"2", "0", "auth-password-form"}} {
		sub := f.top + "-" + level.number
		f.mustAdd(t, f.top+"-forms", "CONDITIONAL", "flow", flow(sub))
		condition := f.mustAdd(t, sub, "REQUIRED", "execution", object{"provider": "conditional-level-of-authentication"})
		a.mustDo(t, http.MethodPost, "/"+realm+"/authentication/executions/"+condition+"/config", object{
			"alias": sub, "config": object{"loa-condition-level": level.number, "loa-max-age": level.maxAge}}, nil)
		f.mustAdd(t, sub, "REQUIRED", "execution", object{"provider": level.form})
	}
	client := a.mustFindClient(t, realm, clientID)
	path := "/" + realm + "/clients/" + client["id"].(string)
	change(client, map[string]string{"acr.loa.map": `{"silver":"1","gold":"2"}`})
	client["authenticationFlowBindingOverrides"] = object{"browser": id}
	a.mustDo(t, http.MethodPut, path, client, nil)
	t.Cleanup(func() {
		client["authenticationFlowBindingOverrides"] = object{"browser": ""}
		a.mustDo(t, http.MethodPut, path, client, nil)
		a.mustDo(t, http.MethodDelete, f.path+"/"+id, nil, nil)
	})
}

// A loginFlow is an authentication flow of a realm.
type loginFlow struct {
	*admin
	path string // of the realm's flows, below /admin/realms
	top  string // alias of the top-level flow
}

// mustAdd adds an execution, an authenticator or a subflow, to the flow with the alias below, and returns its ID.
func (f *loginFlow) mustAdd(t *testing.T, below, requirement, kind string, what object) (id string) {
	t.Helper()
	before := f.mustExecutions(t)
	f.mustDo(t, http.MethodPost, f.path+"/"+below+"/executions/"+kind, what, nil)
	for id, execution := range f.mustExecutions(t) {
		if before[id] == nil {
			execution["requirement"] = requirement
			f.mustDo(t, http.MethodPut, f.path+"/"+f.top+"/executions", execution, nil)
			return id
		}
	}
	t.Fatalf("Keycloak doesn't show the execution %v", what)
	return ""
}

// mustExecutions returns the executions of the flow and its subflows, by ID.
func (f *loginFlow) mustExecutions(t *testing.T) map[string]object {
	t.Helper()
	var list []object
	f.mustDo(t, http.MethodGet, f.path+"/"+f.top+"/executions", nil, &list)
	all := map[string]object{}
	for _, e := range list {
		all[e["id"].(string)] = e
	}
	return all
}
