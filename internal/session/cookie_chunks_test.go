package session

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"sallyport/internal/keyring"
)

// Any process with the secret opens what another one sealed, in one cookie or several.
func TestCookieKeepsEverything(t *testing.T) {
	for _, size := range []int{0, 2000, 5000, 8500} {
		r := newCookieRig(t)
		a, b, j := r.process(usual), r.process(usual), jar{}
		login := randomLogin(size)
		began := r.login(j, a, login)
		if want := size/3000 + 1; len(j) != want {
			t.Errorf("a token of %d bytes is in %d cookies, expected %d", size, len(j), want)
		}
		for _, c := range []*CookieSessions{a, b, b} {
			opened := r.open(j, c)
			if opened.Rotated || opened.ID != began.carried.id || !reflect.DeepEqual(opened.Session.Login, login) {
				t.Errorf("got %+v, expected %+v", opened.Session.Login, login)
			}
		}
		if first, second := r.open(j, b).Session, r.open(j, b).Session; first != second {
			t.Error("equal cookies were decoded again")
		}
		for name, value := range j {
			if strings.Contains(value, login.Identity.Tokens.RefreshToken) {
				t.Errorf("%s has a token in clear", name)
			}
		}
	}
}

// Chunks open only together, under their name, and unchanged.
func TestCookieChunksBelongTogether(t *testing.T) {
	r := newCookieRig(t)
	c, j, other, later := r.process(usual), jar{}, jar{}, jar{}
	r.login(j, c, randomLogin(8000))
	r.login(other, c, randomLogin(8000))
	maps.Copy(later, j)
	r.pass(2 * time.Minute)
	if !r.open(later, c).Rotated || later["s"] == j["s"] {
		t.Fatal("the second version is missing")
	}
	c.logins.Delete(j.read(c).session.carried.id.lineage()) // as another process would judge
	c.latest.Delete(j.read(c).session.carried.id.lineage())
	const last = "s_2"
	for name, change := range map[string]func(jar){
		"the last chunk is missing":  func(j jar) { delete(j, last) },
		"the first chunk is missing": func(j jar) { delete(j, "s") },
		"a chunk of another login":   func(j jar) { j[last] = other[last] },
		"a chunk of another version": func(j jar) { j[last] = later[last] },
		"another login's bytes":      func(j jar) { j[last] = j[last][:headText] + other[last][headText:] },
		"another version's bytes":    func(j jar) { j[last] = j[last][:headText] + later[last][headText:] },
		"swapped":                    func(j jar) { j["s_1"], j["s_2"] = j["s_2"], j["s_1"] },
		"fewer chunks": func(j jar) {
			delete(j, last)
			for name, value := range j {
				h, index, _ := parseHead(value)
				h.count--
				j[name] = h.encode(index) + value[headText:]
			}
		},
		"the same bytes in more chunks": func(j jar) {
			h, _, _ := parseHead(j["s"])
			set := chunkSet{head: h, values: [MaxChunks]string{j["s"], j["s_1"], j["s_2"]}}
			record, err := set.record()
			if err != nil {
				t.Fatal(err)
			}
			h.count = MaxChunks
			for index, value := range split(record, h, headText+4*(len(record)/MaxChunks/3+1)) {
				j[ChunkName("s", index)] = value
			}
			if _, ok := j.reads(); !ok {
				t.Fatal("the changed chunks are no complete set")
			}
		},
		"another version": func(j jar) {
			for name, value := range j {
				h, index, _ := parseHead(value)
				h.version++
				j[name] = h.encode(index) + value[headText:]
			}
		},
		"another ID": func(j jar) {
			for name, value := range j {
				h, index, _ := parseHead(value)
				h.id[31]++
				j[name] = h.encode(index) + value[headText:]
			}
		},
		"a changed byte": func(j jar) {
			b := []byte(j[last])
			b[headText+9] ^= 'A' ^ 'B'
			j[last] = string(b)
		},
		"a byte more": func(j jar) { j[last] += "A" },
		"too long":    func(j jar) { j["s"] += strings.Repeat("A", maxChunkText) },
		"empty":       func(j jar) { j["s"] = "" },
	} {
		changed := maps.Clone(j)
		change(changed)
		if _, ok := changed.read(c).ID(); ok {
			t.Errorf("%s: it opened", name)
		}
	}
	if _, ok := c.Read("t", rename(j)).ID(); ok {
		t.Error("it opened under another name")
	}
	if _, ok := j.read(r.process(usual, secretB)).ID(); ok {
		t.Error("it opened with another secret")
	}
	if _, ok := j.read(r.process(usual, secretB, secretA)).ID(); !ok {
		t.Error("it didn't open with the second secret")
	}
	if _, ok := j.read(c).ID(); !ok {
		t.Error("the unchanged chunks didn't open")
	}
}

// rename returns cookies s, s_1 and so on as t, t_1 and so on.
func rename(j jar) (all []*http.Cookie) {
	for _, c := range j.cookies() {
		all = append(all, &http.Cookie{Name: "t" + strings.TrimPrefix(c.Name, "s"), Value: c.Value})
	}
	return all
}

// Of two versions that a browser sends the higher wins, whatever their order. Chunks that belong to none are stale.
func TestCookieHigherVersionWins(t *testing.T) {
	r := newCookieRig(t)
	c, older := r.process(usual), jar{}
	r.login(older, c, randomLogin(8000))
	newer := maps.Clone(older)
	r.pass(2 * time.Minute)
	want := r.open(newer, c).Session
	login := jar{}
	r.pass(time.Minute)
	began := r.login(login, c, john()) // of another browser, or before a setting of the cookie changed
	for name, row := range map[string]struct {
		cookies []*http.Cookie
		want    *Session
	}{
		"older first":   {append(older.cookies(), newer.cookies()...), want},
		"newer first":   {append(newer.cookies(), older.cookies()...), want},
		"another login": {append(newer.cookies(), login.cookies()...), began},
	} {
		k := c.Read("s", row.cookies)
		if k.session == nil || k.session.carried.version != row.want.carried.version {
			t.Errorf("%s: got %+v", name, k.session)
		}
	}
	mixed := jar{"s": login["s"], "s_1": newer["s_1"], "s_2": newer["s_2"]}
	k := mixed.read(c)
	if k.session == nil || k.Stale(0) || !k.Stale(1) || !k.Stale(2) || k.Stale(3) {
		t.Errorf("got %+v", k)
	}
	flood := jar{}
	maps.Copy(flood, login)
	cookies := flood.cookies()
	for range 3 {
		forged := head{newID(), 1 << 60, 1}.encode(0) + "AAAA"
		cookies = append([]*http.Cookie{{Name: "s", Value: forged}}, cookies...)
	}
	if c.Read("s", cookies).session == nil {
		t.Error("three forged cookies hide the session")
	}
	if sets, _ := chunksOf("s", append(cookies, cookies...)); len(sets) > maxSets {
		t.Errorf("%d sets are tried", len(sets))
	}
}

// The size of the cookies is logged over 7 KiB and refused over 12 KiB; both name Redis.
func TestCookieSizes(t *testing.T) {
	r := newCookieRig(t)
	c := r.process(usual)
	seal := func(l Login, room int) error {
		_, s, err := jar{}.read(c).Start(t.Context(), nil, l)
		if err == nil {
			_, err = c.Seal("s", room, s)
		}
		return err
	}
	const warning = "write session_storage: redis"
	if err := seal(randomLogin(6000), room); err != nil || strings.Contains(r.log.String(), warning) {
		t.Error(err, r.log)
	}
	if err := seal(randomLogin(7500), room); err != nil || strings.Count(r.log.String(), warning) != 1 {
		t.Error(err, r.log)
	}
	if err := seal(randomLogin(7500), room); err != nil || strings.Count(r.log.String(), warning) != 1 {
		t.Error("the warning is repeated within a minute", err)
	}
	compressible := randomLogin(0)
	compressible.Identity.Tokens.IDToken = strings.Repeat("a", maxContent)
	for name, err := range map[string]error{
		"12 KiB": seal(randomLogin(12000), room), "more chunks": seal(randomLogin(20000), room),
		"after compression": seal(compressible, room),
	} {
		if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "session_storage: redis") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := seal(randomLogin(0), minChunkText-1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("without room for chunks: got %v", err)
	}
}

// A record can't be decompressed to more than maxContent.
func TestCookieBomb(t *testing.T) {
	s := &Session{Version: version, Login: john(), carried: &carriage{}}
	s.Login.Identity.Tokens.IDToken = strings.Repeat("a", maxContent-5000)
	plain, err := pack(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, size, err := unpack(plain, head{}); err != nil || size < maxContent-5000 {
		t.Error(size, err)
	}
	s.Login.Identity.Tokens.IDToken = strings.Repeat("a", maxContent)
	if _, err := pack(s); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if _, _, err := unpack(deflated(t, strings.Repeat(" ", maxContent)+"{}"), head{}); !errors.Is(err, errContent) {
		t.Errorf("got %v", err)
	}
	bomb := deflated(t, strings.Repeat(" ", 1000*maxContent))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := unpack(bomb, head{}); !errors.Is(err, errContent) {
		t.Errorf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 10*maxContent {
		t.Errorf("%d bytes are decompressed to %d", len(bomb), used)
	}
}

// FuzzCookieOpen: no bytes of a stranger open, and any that open are what was sealed.
func FuzzCookieOpen(f *testing.F) {
	k := mustKeyring(f, secretA)
	c := newCookieSessions(usual, k, time.Now, nil)
	login := john() // the same in all processes of the fuzzer
	for n := range 5000 / 64 {
		login.Identity.Tokens.AccessToken += fmt.Sprintf("%x", sha256.Sum256([]byte{byte(n)}))
	}
	_, s, _ := c.Read("s", nil).Start(f.Context(), nil, login)
	values, err := c.Seal("s", room, s)
	if err != nil {
		f.Fatal(err)
	}
	values = append(values, "")
	f.Add(values[0], values[1], "", "s_1")
	f.Add(values[0], values[1], values[1], "s_2")
	f.Add(values[1], values[0], "", "s_1")
	f.Add(head{newID(), 1, 1}.encode(0)+"AAAA", "", "x", "s_3")
	f.Add(strings.Repeat("A", headText), "====", "\x00", "s_9")
	f.Fuzz(func(t *testing.T, first, second, third, name string) {
		fresh := newCookieSessions(usual, k, time.Now, nil)
		k := fresh.Read("s", []*http.Cookie{{Name: "s", Value: first}, {Name: name, Value: second}, {Name: "s_1", Value: third}})
		if k.session != nil && k.session.Login.Identity.Tokens.AccessToken != s.Login.Identity.Tokens.AccessToken {
			t.Error("bytes that were not sealed opened")
		}
	})
}

// FuzzCookieContent: content of another format never panics, and opens to a session with an identity.
func FuzzCookieContent(f *testing.F) {
	s := &Session{Version: version, Login: john(), carried: &carriage{}}
	plain, err := pack(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add([]byte{isPlain, '{', '}'})
	f.Add([]byte{isDeflated})
	f.Fuzz(func(t *testing.T, plain []byte) {
		s, size, err := unpack(plain, head{})
		if err == nil && (s.Login.Identity == nil || s.carried == nil || size > maxContent) {
			t.Errorf("got %+v", s)
		}
	})
}

func TestSealRepeatablyOpensAsRecord(t *testing.T) {
	k := mustKeyring(t, secretA)
	a, err1 := k.SealRepeatably("use", "name", "salt", []byte("value"))
	b, err2 := k.SealRepeatably("use", "name", "salt", []byte("value"))
	if a != b || errors.Join(err1, err2) != nil || len(a) != len("value")+keyring.RecordOverhead {
		t.Errorf("got %q, %q, %v, %v", a, b, err1, err2)
	}
	for _, other := range [][2]string{{"other", "salt"}, {"name", "other"}} {
		if c, _ := k.SealRepeatably("use", other[0], other[1], []byte("value")); c[9:21] == a[9:21] {
			t.Errorf("%q: a nonce was used twice", other)
		}
	}
	if c, _ := k.SealRepeatably("use", "name", "salt", []byte("valuf")); c[9:21] == a[9:21] {
		t.Error("a nonce was used for two values")
	}
	if plain, err := k.OpenRecord("use", "name", "salt", a); err != nil || string(plain) != "value" {
		t.Error(string(plain), err)
	}
}
