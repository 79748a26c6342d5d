package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// An admin is a client of Keycloak's admin REST API. All tests share one Keycloak, so a test must only change objects that it has
// created: a client (mustClient, mustCopy), a user (mustUser) or, to rotate keys, a realm (mustRealm).
type admin struct {
	base string

	mu    sync.Mutex
	token string
	until time.Time
}

// An object is a JSON object, such as a representation of Keycloak or a response.
type object = map[string]any

func (a *admin) mustToken(t *testing.T) string {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Now().After(a.until) {
		got := newVisitor(t).ask(issuerAt(a.base, "master")+"/protocol/openid-connect/token", clientNone("admin-cli"),
			url.Values{"grant_type": {"password"}, "username": {"admin"}, "password": {"admin"}})
		a.token = got.mustMember(t, "access_token")
		a.until = time.Now().Add(30 * time.Second) // the token expires after a minute
	}
	return a.token
}

// mustDo sends a request to a path below /admin/realms, with in as JSON unless it is nil, and decodes the response into out unless
// that is nil.
func (a *admin) mustDo(t *testing.T, method, path string, in, out any) {
	t.Helper()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequest(method, a.base+"/admin/realms"+path, &body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+a.mustToken(t))
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		t.Fatalf("Keycloak refuses %s %s: %d %s %v", method, path, res.StatusCode, answer, err)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatal(err)
	}
}

// mustFind returns the only element of a list that the query selects.
func (a *admin) mustFind(t *testing.T, path string, query url.Values) object {
	t.Helper()
	var found []object
	a.mustDo(t, http.MethodGet, path+"?"+query.Encode(), nil, &found)
	if len(found) != 1 {
		t.Fatalf("Keycloak has %d of %s %v", len(found), path, query)
	}
	return found[0]
}

func (a *admin) mustFindClient(t *testing.T, realm, clientID string) object {
	t.Helper()
	return a.mustFind(t, "/"+realm+"/clients", url.Values{"clientId": {clientID}})
}

// unique returns a name with a random suffix.
func unique(name string) string { return name + "-" + strings.ToLower(rand.Text()[:10]) }

// mustClient creates a client from a representation until the test ends. It appends a random suffix to clientId and returns the
// result.
func (a *admin) mustClient(t *testing.T, realm string, representation object) (clientID string) {
	t.Helper()
	representation = maps.Clone(representation)
	clientID = unique(representation["clientId"].(string))
	representation["clientId"] = clientID
	a.mustDo(t, http.MethodPost, "/"+realm+"/clients", representation, nil)
	path := "/" + realm + "/clients/" + a.mustFindClient(t, realm, clientID)["id"].(string)
	t.Cleanup(func() { a.mustDo(t, http.MethodDelete, path, nil, nil) })
	return clientID
}

// mustCopy creates a copy of a client of testdata/keycloak with changed attributes. It has the same secret, and its own ID in aud
// where the original has its ID.
func (a *admin) mustCopy(t *testing.T, realm, original string, attributes map[string]string) (clientID string) {
	t.Helper()
	representation := a.mustFindClient(t, realm, original)
	for _, name := range []string{"id", "access"} {
		delete(representation, name)
	}
	change(representation, attributes)
	mappers, _ := representation["protocolMappers"].([]any)
	delete(representation, "protocolMappers")
	clientID = a.mustClient(t, realm, representation)
	id := a.mustFindClient(t, realm, clientID)["id"].(string)
	for _, mapper := range mappers {
		mapper := mapper.(object)
		delete(mapper, "id")
		if config := mapper["config"].(object); config["included.client.audience"] == original {
			config["included.client.audience"] = clientID
		}
	}
	a.mustDo(t, http.MethodPost, "/"+realm+"/clients/"+id+"/protocol-mappers/add-models", mappers, nil)
	return clientID
}

// mustChange changes attributes of a client that the test has created.
func (a *admin) mustChange(t *testing.T, realm, clientID string, attributes map[string]string) {
	t.Helper()
	client := a.mustFindClient(t, realm, clientID)
	change(client, attributes)
	a.mustDo(t, http.MethodPut, "/"+realm+"/clients/"+client["id"].(string), client, nil)
}

func change(client object, attributes map[string]string) {
	all, _ := client["attributes"].(object)
	if all == nil {
		all = object{}
	}
	for name, value := range attributes {
		all[name] = value
	}
	client["attributes"] = all
}

// mustUser creates a user like john, with the password doe and these realm roles, and returns the username.
func (a *admin) mustUser(t *testing.T, realm string, roles ...string) (username string) {
	t.Helper()
	username = unique("user")
	a.mustDo(t, http.MethodPost, "/"+realm+"/partialImport", object{"ifResourceExists": "FAIL", "users": []object{{
		"username": username, "enabled": true, "email": username + "@example.com", "emailVerified": true,
		"firstName": "Given", "lastName": "Family", "realmRoles": roles,
		"credentials": []object{{"type": "password", "value": "doe"}},
	}}}, nil)
	return username
}

func (a *admin) userPath(t *testing.T, realm, username string) string {
	t.Helper()
	user := a.mustFind(t, "/"+realm+"/users", url.Values{"username": {username}, "exact": {"true"}})
	return "/" + realm + "/users/" + user["id"].(string)
}

// mustDisable disables a user that the test has created.
func (a *admin) mustDisable(t *testing.T, realm, username string) {
	t.Helper()
	a.mustDo(t, http.MethodPut, a.userPath(t, realm, username), object{"enabled": false}, nil)
}

// mustLogOut ends all sessions of a user that the test has created.
func (a *admin) mustLogOut(t *testing.T, realm, username string) {
	t.Helper()
	a.mustDo(t, http.MethodPost, a.userPath(t, realm, username)+"/logout", nil, nil)
}

// mustEndSession ends the session with this sid.
func (a *admin) mustEndSession(t *testing.T, realm, sid string) {
	t.Helper()
	a.mustDo(t, http.MethodDelete, "/"+realm+"/sessions/"+sid, nil, nil)
}

// mustRealm creates a realm with these clients of the realm sallyport and returns its name. It takes some seconds, and the realm
// exists until the run ends.
func (a *admin) mustRealm(t *testing.T, clients ...string) (realm string) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(root, "testdata/keycloak/sallyport-realm.json"))
	var representation object
	if err == nil {
		err = json.Unmarshal(file, &representation)
	}
	if err != nil {
		t.Fatal(err)
	}
	realm = unique("realm")
	representation["realm"] = realm
	representation["clients"] = slices.DeleteFunc(representation["clients"].([]any), func(client any) bool {
		return !slices.Contains(clients, client.(object)["clientId"].(string))
	})
	a.mustDo(t, http.MethodPost, "", representation, nil)
	return realm
}

// mustRotateKeys adds a new signing key to a realm that the test has created. The old keys stay published.
func (a *admin) mustRotateKeys(t *testing.T, realm string) {
	t.Helper()
	var found object
	a.mustDo(t, http.MethodGet, "/"+realm, nil, &found)
	a.mustDo(t, http.MethodPost, "/"+realm+"/components", object{
		"name": unique("rsa"), "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider", "parentId": found["id"],
		"config": object{"priority": []string{time.Now().Format("20060102150405")}}, // the newest key has the highest priority
	}, nil)
}

// mustEnforce makes a client policy of a realm enforce one of Keycloak's client profiles on all clients.
func (a *admin) mustEnforce(t *testing.T, realm, profile string) {
	t.Helper()
	a.mustDo(t, http.MethodPut, "/"+realm+"/client-policies/policies", object{"policies": []object{{
		"name": profile, "enabled": true, "profiles": []string{profile},
		"conditions": []object{{"condition": "any-client", "configuration": object{}}},
	}}}, nil)
}
