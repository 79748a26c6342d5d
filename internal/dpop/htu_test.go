package dpop

import "testing"

func TestNormalURL(t *testing.T) {
	for address, want := range map[string]string{
		"https://a.example":             "https://a.example/",
		"HTTPS://A.Example:443/X":       "https://a.example/X",
		"http://a.example:80/":          "http://a.example/",
		"https://a.example:80/":         "https://a.example:80/",
		"https://a.example:/":           "https://a.example/",
		"https://a.example?x=/y":        "https://a.example/",
		"https://a.example/x?y#z":       "https://a.example/x",
		"https://a.example/%7ex%2fy%c3": "https://a.example/~x%2Fy%C3",
		"https://a.example/%":           "https://a.example/%",
		"https://a.example/%4":          "https://a.example/%4",
		"https://a.example/%zz":         "https://a.example/%zz",
		"https://a.example/%2541":       "https://a.example/%2541",
		"https://[2001:DB8::1]:443/":    "https://[2001:db8::1]/",
		"https:///x":                    "",
		"/x":                            "",
		"":                              "",
	} {
		if got := normalURL(address); got != want {
			t.Errorf("%s: got %s, expected %s", address, got, want)
		}
	}
}
