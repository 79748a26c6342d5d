package importer

import "testing"

// TestRewriting checks which rewritings of oauth2-proxy are prefixes that replace each other. What is added becomes a part of an address.
func TestRewriting(t *testing.T) {
	for _, c := range []struct {
		path, target, removed, added string
		ok                           bool
	}{
		{"^/a/(.*)$", "/b/$1", "/a", "/b", true},
		{"^/(.*)$", "/b/$1", "", "/b", true},
		{"/a/(.*)", "/$1", "/a", "", true},
		{"^/a/(.*)$", "@evil.example/$1", "", "", false},
		{"^/a/(.*)$", "/b?x=/$1", "", "", false},
		{"^/a/(.*)$", "/b/../$1", "", "", false},
		{"^/a/(.*)$", "/b$1", "", "", false},
		{"^/a.+/(.*)$", "/b/$1", "", "", false},
	} {
		removed, added, ok := rewriting(c.path, c.target)
		if ok != c.ok || ok && (removed != c.removed || added != c.added) {
			t.Errorf("%s to %s: got %q, %q, %v", c.path, c.target, removed, added, ok)
		}
	}
}

// TestImportsAreStable checks that a file gives the same configuration and report each time.
func TestImportsAreStable(t *testing.T) {
	for system, text := range map[string]string{
		"mod_auth_openidc": "ServerName a.example.com\nOIDCProviderMetadataURL https://idp.example.com/.well-known/openid-configuration\n" +
			"OIDCClientID app\nOIDCCacheType redis\nOIDCRedisCacheServer redis:6379\nOIDCRedisCacheConnectTimeout 3\n" +
			"OIDCRedisCacheTimeout 4\nProxyPass / http://127.0.0.1:8080/\n<Location />\nAuthType openid-connect\nRequire valid-user\n</Location>\n",
		"oauth2-proxy": o2pBase + "--email-domain=* --allowed-a=1 --allowed-b=2 --allowed-c=3 --allowed-d=4\n",
	} {
		first := ""
		for range 20 {
			result, err := Import(system, []Source{{"file.conf", []byte(text)}})
			if err != nil {
				t.Fatal(err)
			}
			all := string(result.Single().Data)
			for _, n := range result.Notes {
				all += n.String() + "\n"
			}
			if first == "" {
				first = all
			}
			if all != first {
				t.Errorf("%s: one import gives\n%s\nanother\n%s", system, first, all)
				break
			}
		}
	}
}
