package authserver

import (
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
)

func mustMint(t testing.TB, secrets ...auth.Secret) *mint {
	t.Helper()
	k, err := keyring.New(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return &mint{prefix: "sp_", keyring: k}
}

func TestHandles(t *testing.T) {
	m := mustMint(t, sealing...)
	forms := map[kind]string{accessHandle: `^sp_[0-9A-Za-z]{53}$`, refreshHandle: `^sp_r_[0-9A-Za-z]{71}$`,
		codeHandle: `^sp_c_[0-9A-Za-z]{71}$`}
	for k, form := range forms {
		family := ""
		if k != accessHandle {
			family = newFamily()
		}
		h := m.make(k, family)
		if !regexp.MustCompile(form).MatchString(h.text) {
			t.Errorf("%q isn't %s", h.text, form)
		}
		for other := range forms {
			got, ok := m.parse(other, h.text)
			if ok != (other == k) || ok && got != h {
				t.Errorf("%q as %q: got %v %t", h.text, other, got, ok)
			}
		}
		if m.make(k, family).text == h.text {
			t.Error("two are the same")
		}
	}
}

// All handles of a family have its tag, so that a Redis Cluster stores their records in one slot. Others have tags of their own.
func TestTags(t *testing.T) {
	m, family := mustMint(t, sealing...), newFamily()
	for _, k := range []kind{accessHandle, refreshHandle, codeHandle} {
		made := m.make(k, family)
		if read, _ := m.parse(k, made.text); made.tag != tagOf(family) || read.tag != made.tag {
			t.Errorf("%q: made with the tag %q, read with %q, expected %q", made.text, made.tag, read.tag, tagOf(family))
		}
	}
	if first, second := m.make(accessHandle, ""), m.make(accessHandle, ""); first.tag == second.tag {
		t.Error("two tokens without a family have one tag")
	}
}

func TestHandlesThatAreNone(t *testing.T) {
	m := mustMint(t, sealing...)
	good := m.make(accessHandle, "").text
	refresh := m.make(refreshHandle, newFamily()).text
	for name, text := range map[string]string{
		"empty": "", "the prefix": "sp_", "short": good[:len(good)-1], "long": good + "0", "another prefix": "xx_" + good[3:],
		"a kind's name in it": "sp_r_" + good[5:], "long garbage": strings.Repeat("sp_", 10000),
		"another mint's":      mustMint(t, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb").make(accessHandle, "").text,
		"a refresh token cut": "sp_" + refresh[len(refresh)-53:],
	} {
		if _, ok := m.parse(accessHandle, text); ok {
			t.Errorf("%s: it is one", name)
		}
	}
	for i := range good {
		changed := good[:i] + string(base62[(strings.IndexByte(base62, good[i])+1)%62]) + good[i+1:]
		if _, ok := m.parse(accessHandle, changed); ok {
			t.Errorf("changed at %d: it is one", i)
		}
	}
	other := *m
	other.prefix = "other_"
	if _, ok := other.parse(accessHandle, "other_"+good[3:]); ok {
		t.Error("another prefix's handle is ours")
	}
}

func TestHandlesOutliveARotation(t *testing.T) {
	h := mustMint(t, sealing[0]).make(accessHandle, "")
	if _, ok := mustMint(t, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", sealing[0]).parse(accessHandle, h.text); !ok {
		t.Error("it isn't known after the secret's rotation")
	}
}

// Every character is as likely as the others, so that 43 of them are 256 bits.
func TestRandomText(t *testing.T) {
	seen := map[rune]int{}
	for _, c := range randomText(62 * 2000) {
		seen[c]++
	}
	for _, c := range base62 {
		if seen[c] < 1700 || seen[c] > 2300 { // 2000 with a deviation of 45
			t.Errorf("%c comes %d times, expected about 2000", c, seen[c])
		}
	}
	secret, line := NewSecret()
	h, err := parseHash(line)
	if err != nil || !h.matches(string(secret)) || len(secret) != 43 {
		t.Errorf("got %d characters, %s, %v", len(secret), line, err)
	}
}
