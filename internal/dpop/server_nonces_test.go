package dpop

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestServerNonces(t *testing.T) {
	var n ServerNonces
	learn := func(server string, values ...string) string {
		return n.Learn(server, http.Header{"Dpop-Nonce": values})
	}
	for _, test := range []struct {
		sent        []string
		want, after string
	}{
		{nil, "", ""},
		{[]string{"a"}, "a", "a"},
		{[]string{"b", "c"}, "", "a"},
		{[]string{""}, "", "a"},
		{[]string{"with space"}, "", "a"},
		{[]string{`quo"te`}, "", "a"},
		{[]string{`back\slash`}, "", "a"},
		{[]string{"é"}, "", "a"},
		{[]string{strings.Repeat("x", maxNonce+1)}, "", "a"},
		{[]string{"!~[]"}, "!~[]", "!~[]"},
	} {
		if got := learn("one", test.sent...); got != test.want || n.Of("one") != test.after {
			t.Errorf("%q: got %q, and %q is remembered, expected %q and %q", test.sent, got, n.Of("one"), test.want, test.after)
		}
	}
	learn("two", "of-two")
	if n.Of("one") != "!~[]" || n.Of("two") != "of-two" || n.Of("three") != "" {
		t.Error("a server has another server's nonce")
	}
	for i := range 1000 {
		learn(fmt.Sprint(i), "x")
	}
	if len(n.newest) > maxServers {
		t.Errorf("the nonces of %d servers are remembered, expected %d at most", len(n.newest), maxServers)
	}
}

func TestChallenges(t *testing.T) {
	for _, test := range []struct {
		lines []string
		asks  bool
		rest  []string
	}{
		{nil, false, nil},
		{[]string{`DPoP error="use_dpop_nonce", error_description="x, y"`}, true, nil},
		{[]string{`DPoP algs="ES256 PS256", error="use_dpop_nonce"`}, true, nil},
		{[]string{"dpop\terror = use_dpop_nonce"}, true, nil},
		{[]string{`DPoP error="invalid_token"`}, false, nil},
		{[]string{`DPoP realm="error=use_dpop_nonce"`}, false, nil},
		{[]string{`Bearer error="use_dpop_nonce"`}, false, []string{`Bearer error="use_dpop_nonce"`}},
		{[]string{`Bearer realm="a, DPoP", DPoP error="use_dpop_nonce", Basic realm="b"`}, true,
			[]string{`Bearer realm="a, DPoP"`, `Basic realm="b"`}},
		{[]string{`Negotiate`, `DPoP`, `Negotiate abc==`}, false, []string{`Negotiate`, `Negotiate abc==`}},
		{[]string{`Bearer realm="\"", DPoP error="use_dpop_nonce"`}, true, []string{`Bearer realm="\""`}},
		{[]string{`Bearer realm="x"`, ` , DPoP error="use_dpop_nonce",`}, true, []string{`Bearer realm="x"`}},
		{[]string{`error="use_dpop_nonce"`}, false, []string{`error ="use_dpop_nonce"`}},
		{[]string{""}, false, nil},
	} {
		h := http.Header{"Www-Authenticate": test.lines}
		if got := AsksNonce(h); got != test.asks {
			t.Errorf("%q: asks is %v, expected %v", test.lines, got, test.asks)
		}
		if got := WithoutDPoP(test.lines); !slices.Equal(got, test.rest) {
			t.Errorf("%q: the rest is %q, expected %q", test.lines, got, test.rest)
		}
	}
}
