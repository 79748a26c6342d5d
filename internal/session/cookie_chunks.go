package session

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// With storage cookie a session travels in one or more cookies, its chunks:
//
//	session_01234567   base64url(head) base64url(a part of the record)
//	session_01234567_1 ...
//
// The head is the ID (32 bytes), the version (8), the number of chunks (1) and the index of this one (1). The record is sealed with a key
// from the ID and the secret. It authenticates the cookie's name, the version and the number of chunks, so chunks of two sessions or of two
// versions don't open together, and neither do fewer chunks.
const (
	MaxChunks = 4 // cookies of a session

	headBytes = 32 + 8 + 1 + 1
	headText  = headBytes / 3 * 4 // the length of the encoded head, which needs no padding

	maxChunkText = 4096     // the longest value that is read; browsers store no longer cookie (RFC 6265 §6.1)
	minChunkText = 256      // with less room for each chunk, the attributes of the cookie are too long
	longCookies  = 7 << 10  // the size of all in a Cookie header that is logged: nginx takes 8 KiB for a header
	maxCookies   = 12 << 10 // the size of all that is refused
	maxSets      = 4        // sessions of one name that are tried: another host of the domain may have set cookies
)

// ErrTooLarge means that a session doesn't fit the cookies of a browser.
var ErrTooLarge = errors.New("the session is too large for cookies")

// ChunkName returns the name of a chunk's cookie; that of the first is name itself.
func ChunkName(name string, index int) string {
	if index == 0 {
		return name
	}
	return name + "_" + strconv.Itoa(index)
}

// chunkIndex returns the index of the chunk that a cookie holds, or -1.
func chunkIndex(name, cookie string) int {
	rest, found := strings.CutPrefix(cookie, name)
	switch {
	case !found:
		return -1
	case rest == "":
		return 0
	case len(rest) == 2 && rest[0] == '_' && rest[1] >= '1' && rest[1] < '0'+MaxChunks:
		return int(rest[1] - '0')
	}
	return -1
}

// A head is what stands in clear before each part of a record, except for the chunk's index. It is comparable.
type head struct {
	id      ID
	version uint64
	count   int
}

func (h head) encode(index int) string {
	b := make([]byte, 0, headBytes)
	b = append(b, h.id[:]...)
	b = binary.BigEndian.AppendUint64(b, h.version)
	return base64.RawURLEncoding.EncodeToString(append(b, byte(h.count), byte(index)))
}

// parseHead returns the head of a chunk's value, and the index in it.
func parseHead(value string) (h head, index int, ok bool) {
	if len(value) <= headText || len(value) > maxChunkText {
		return h, 0, false
	}
	var b [headBytes]byte
	if _, err := base64.RawURLEncoding.Decode(b[:], []byte(value[:headText])); err != nil {
		return h, 0, false
	}
	h = head{ID(b[:32]), binary.BigEndian.Uint64(b[32:40]), int(b[40])}
	index = int(b[41])
	return h, index, h.count >= 1 && h.count <= MaxChunks && index < h.count
}

// name returns the name under which the record is sealed.
func (h head) name(cookie string) string {
	return cookie + "\x00" + strconv.FormatUint(h.version, 10) + "\x00" + strconv.Itoa(h.count)
}

// A chunkSet is the chunks of a request that have the same head.
type chunkSet struct {
	head   head
	values [MaxChunks]string
}

func (s *chunkSet) complete() bool { return !slices.Contains(s.values[:s.head.count], "") }

// record returns the sealed bytes of a complete set.
func (s *chunkSet) record() (string, error) {
	var b []byte
	for _, value := range s.values[:s.head.count] {
		var err error
		if b, err = base64.RawURLEncoding.Strict().AppendDecode(b, []byte(value[headText:])); err != nil {
			return "", err
		}
	}
	return string(b), nil
}

// chunksOf returns the sets of chunks of a cookie's name in a request, the highest version first, and the indexes of all chunks in the
// request as bits.
func chunksOf(name string, cookies []*http.Cookie) (sets []chunkSet, sent uint8) {
	for _, c := range cookies {
		place := chunkIndex(name, c.Name)
		if place < 0 {
			continue
		}
		sent |= 1 << place
		h, index, ok := parseHead(c.Value)
		if !ok || index != place {
			continue
		}
		n := slices.IndexFunc(sets, func(s chunkSet) bool { return s.head == h })
		if n < 0 && len(sets) < maxSets {
			n, sets = len(sets), append(sets, chunkSet{head: h})
		}
		if n >= 0 && sets[n].values[index] == "" {
			sets[n].values[index] = c.Value
		}
	}
	slices.SortStableFunc(sets, func(a, b chunkSet) int { return cmp.Compare(b.head.version, a.head.version) })
	return sets, sent
}

// split returns the values of the chunks of a record. Each has at most room bytes.
func split(record string, h head, room int) []string {
	values := make([]string, h.count)
	for index := range values {
		n := min(partBytes(room), len(record))
		values[index] = h.encode(index) + base64.RawURLEncoding.EncodeToString([]byte(record[:n]))
		record = record[n:]
	}
	return values
}

// partBytes returns how many bytes of a record a chunk of at most room bytes holds.
func partBytes(room int) int { return (room - headText) / 4 * 3 }

// cookieSize returns the bytes that the chunks take in a Cookie header.
func cookieSize(name string, values []string) (size int) {
	for index, value := range values {
		size += len("; ") + len(ChunkName(name, index)) + len("=") + len(value)
	}
	return size
}

// countChunks returns into how many chunks of at most room bytes a record of n bytes is split. The error wraps ErrTooLarge.
func countChunks(n, room int) (int, error) {
	if room < minChunkText {
		return 0, fmt.Errorf("%w: the attributes of the cookie leave %d bytes of each", ErrTooLarge, max(room, 0))
	}
	count := (n + partBytes(room) - 1) / partBytes(room)
	if count > MaxChunks {
		return 0, fmt.Errorf("%w: it has %d bytes: write session_storage: redis", ErrTooLarge, n)
	}
	return count, nil
}
