package authserver

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

const horse = "correct horse"

// made has lines of other programs: of the reference implementations' tests, and of Python's hashlib.
var made = map[string]string{
	"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4": "password",
	"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW":                         "U*U",
	"$pbkdf2-sha512$i=10000,l=32$c2FsdHNhbHQ$SRl9U3XB4V6sE0qgj2kNlpHjNAF/t80nzn08MIK9Mik":  horse,
	"sha256:5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8":              "password",
}

func TestHashesOfOtherPrograms(t *testing.T) {
	for line, secret := range made {
		if h, err := parseHash(line); err != nil || !h.matches(secret) || h.matches(secret+"x") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

const key32 = "SRl9U3XB4V6sE0qgj2kNlpHjNAF/t80nzn08MIK9Mik"

func mustBcrypt(t testing.TB, secret string, cost int) string {
	t.Helper()
	line, err := bcrypt.GenerateFromPassword([]byte(secret), cost)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

func TestHashes(t *testing.T) {
	b := mustBcrypt(t, horse, 4)
	for name, c := range map[string]struct {
		line string
		slow bool
	}{
		"sha256":        {sha256Line(horse), false},
		"Hash":          {Hash(horse), true},
		"bcrypt":        {b, true},
		"bcrypt 2b":     {"$2b$" + b[4:], true},
		"bcrypt 2y":     {"$2y$" + b[4:], true},
		"pbkdf2-sha512": {"$pbkdf2-sha512$i=10000,l=32$c2FsdHNhbHQ$SRl9U3XB4V6sE0qgj2kNlpHjNAF/t80nzn08MIK9Mik", true},
	} {
		h, err := parseHash(c.line)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if h.slow() != c.slow || !h.matches(horse) {
			t.Errorf("%s: slow %t, matches %t", name, h.slow(), h.matches(horse))
		}
		for _, wrong := range []string{"", horse + " ", horse[1:], strings.ToUpper(horse), horse + "\x00", strings.Repeat("x", maxSecret)} {
			if h.matches(wrong) {
				t.Errorf("%s: %q matches", name, wrong)
			}
		}
	}
	if one, two := Hash(horse), Hash(horse); one == two || !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("got %s and %s", one, two)
	}
}

// bcrypt reads 72 bytes: a longer secret with the same beginning must not match.
func TestBcryptReads72Bytes(t *testing.T) {
	h, err := parseHash(mustBcrypt(t, strings.Repeat("x", 72), 4))
	if err != nil || !h.matches(strings.Repeat("x", 72)) || h.matches(strings.Repeat("x", 73)) {
		t.Errorf("got %v", err)
	}
}

func TestHashLinesThatAreRefused(t *testing.T) {
	argon := func(params string) string { return "$argon2id$v=19$" + params + "$c2FsdHNhbHQ$" + key32 }
	for name, line := range map[string]string{
		"empty": "", "in clear": "a secret in clear", "md5": "$1$abc$def", "short sha256": "sha256:abcd", "no hex": "sha256:" +
			strings.Repeat("z", 64),
		"argon2i": "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + key32, "argon2id 16": "$argon2id$v=16$m=64,t=1,p=1$c2FsdHNhbHQ$" + key32,
		"no params": argon(""), "much memory": argon("m=1000000,t=1,p=1"), "many passes": argon("m=65536,t=100,p=1"),
		"no pass":   argon("m=64,t=0,p=1"),
		"no thread": argon("m=64,t=1,p=0"), "many threads": argon("m=64,t=1,p=256"), "little memory": argon("m=8,t=1,p=2"),
		"more params": argon("m=64,t=1,p=1,x=2"),
		"negative":    argon("m=-64,t=1,p=1"), "no hash": "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$",
		"no salt": "$argon2id$v=19$m=64,t=1,p=1$$" + key32,
		"padded":  argon("m=64,t=1,p=1") + "=", "a part more": argon("m=64,t=1,p=1") + "$x",
		"costly bcrypt": strings.Replace(mustBcrypt(t, horse, 4), "$04$", "$15$", 1), "short bcrypt": mustBcrypt(t, horse, 4)[:59],
		"much pbkdf2": "$pbkdf2-sha512$i=10000000,l=32$c2FsdHNhbHQ$" + key32, "little pbkdf2": "$pbkdf2-sha512$i=1,l=32$c2FsdHNhbHQ$" +
			key32,
		"pbkdf2's length": "$pbkdf2-sha512$i=10000,l=31$c2FsdHNhbHQ$" + key32, "pbkdf2-sha1": "$pbkdf2-sha1$i=10000,l=32$c2FsdHNhbHQ$" +
			key32,
	} {
		h, err := parseHash(line)
		if err == nil {
			t.Errorf("%s: it is one: %v", name, h)
		} else if line != "" && strings.Contains(err.Error(), line) {
			t.Errorf("%s: the message shows it: %v", name, err)
		}
	}
}
