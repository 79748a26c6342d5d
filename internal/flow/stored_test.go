package flow

import (
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/golden"
	"sallyport/internal/keyring"
)

// storedLogin returns the login of the stored cookie: every field has a value.
func storedLogin() *login {
	age := int64(300)
	return &login{
		Seed: []byte("0123456789abcdef0123456789abcdef"), Client: "app", Origin: "https://app.example.com", Return: "/page?q=%FF&x=1",
		Started: 1_790_000_000, ACRValues: []string{"gold", "silver"}, MaxAge: &age,
	}
}

// TestStoredLogin opens the cookie of a login that began with an earlier version: its name and secrets must be the same, because the
// provider's response comes back with them.
func TestStoredLogin(t *testing.T) {
	k, err := keyring.New([]auth.Secret{"a secret of the test, long enough to be one"})
	if err != nil {
		t.Fatal(err)
	}
	cookies := &loginCookies{keyring: k, timeout: time.Hour,
		cookie: newCookie("authorization_01234567_", CookieSettings{Path: "/", SameSite: "Lax", HTTPOnly: true})}
	r := &auth.Request{Request: httptest.NewRequest("GET", "/", nil), Origin: "https://app.example.com"}
	f := golden.Open(t, "login-v1", func(f *golden.File) {
		plain, errEncode := storedLogin().encode()
		name := cookies.cookieName(r, storedLogin().state())
		value, errSeal := k.Seal(name, plain)
		if errEncode != nil || errSeal != nil {
			t.Fatal(errEncode, errSeal)
		}
		f.Put("name", name)
		f.Put("value", value)
		f.Put("secrets", []string{storedLogin().state(), storedLogin().nonce(), storedLogin().verifier()})
	})
	r.Header.Set("Cookie", f.Text("name")+"="+f.Text("value"))
	got := cookies.unseal(r, cookies.cookieName(r, storedLogin().state()))
	if !reflect.DeepEqual(got, storedLogin()) {
		t.Fatalf("got %+v, expected %+v", got, storedLogin())
	}
	var secrets []string
	f.Get("secrets", &secrets)
	if now := []string{got.state(), got.nonce(), got.verifier()}; !reflect.DeepEqual(now, secrets) {
		t.Errorf("state, nonce and code_verifier are %q, expected %q", now, secrets)
	}
}
