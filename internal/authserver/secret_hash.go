package authserver

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"sallyport/internal/auth"
)

// A secretHash is one line of client_secret_hash. The hash of a chosen secret is slow, because such a secret can be guessed. The hash
// of a generated secret is fast.
type secretHash interface {
	matches(secret string) bool // in constant time
	slow() bool
}

// errHash is the error of any line that can't be parsed. It doesn't show the line, which may be a secret in clear text.
var errHash = errors.New("expected sha256:<hex> for a generated secret, " +
	"or $argon2id$, $2b$ (bcrypt) or $pbkdf2-sha512$ for a chosen one")

// parseHash parses a line. It bounds the costs in it, because any client can cause a comparison.
func parseHash(line string) (secretHash, error) {
	scheme, rest, _ := strings.Cut(strings.TrimPrefix(line, "$"), "$")
	switch {
	case strings.HasPrefix(line, "sha256:"):
		return parseSHA256(strings.TrimPrefix(line, "sha256:"))
	case !strings.HasPrefix(line, "$"):
		return nil, errHash
	case scheme == "argon2id":
		return parseArgon2(rest)
	case scheme == "2a", scheme == "2b", scheme == "2y":
		return parseBcrypt(line)
	case scheme == "pbkdf2-sha512", scheme == "pbkdf2-sha256":
		return parsePBKDF2(scheme, rest)
	}
	return nil, errHash
}

// Hash returns the client_secret_hash line of a chosen secret: Argon2id with a random salt, at the lowest cost that OWASP recommends.
// For a new client NewSecret is better.
func Hash(secret auth.Secret) string {
	h := argon2Hash{salt: make([]byte, 16), memory: 19 << 10, time: 2, threads: 1}
	rand.Read(h.salt)
	h.key = argon2.IDKey([]byte(secret), h.salt, h.time, h.memory, h.threads, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads, b64(h.salt), b64(h.key))
}

// A sha256Hash is the hash of a secret of 128 random bits or more. Such a secret can't be guessed, so a fast hash is enough.
type sha256Hash [sha256.Size]byte

func sha256Line(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func parseSHA256(text string) (secretHash, error) {
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != sha256.Size {
		return nil, errors.New("expected 64 hex digits after sha256:")
	}
	return sha256Hash(sum), nil
}

func (h sha256Hash) slow() bool { return false }

func (h sha256Hash) matches(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], h[:]) == 1
}

// An argon2Hash is an Argon2id hash (RFC 9106).
type argon2Hash struct {
	salt, key    []byte
	memory, time uint32 // KiB, passes
	threads      uint8
}

func parseArgon2(rest string) (secretHash, error) {
	var h argon2Hash
	parts := strings.Split(rest, "$")
	if len(parts) != 4 || parts[0] != fmt.Sprintf("v=%d", argon2.Version) {
		return nil, errors.New("expected $argon2id$v=19$m=...,t=...,p=...$salt$hash")
	}
	fmt.Sscanf(parts[1], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads)
	if parts[1] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, h.threads) {
		return nil, errors.New("expected m=...,t=...,p=... after $argon2id$v=19$")
	}
	tooLow := h.time < 1 || h.threads < 1 || h.memory < 8*uint32(h.threads)
	if tooLow || h.memory > 256<<10 || uint64(h.memory)*uint64(h.time) > 1<<20 {
		return nil, errors.New("the costs of argon2id are out of bounds: " +
			"expected at most m=262144 (256 MiB), and m times t at most 1048576")
	}
	var err error
	h.salt, h.key, err = saltAndKey(parts[2], parts[3])
	return h, err
}

func (h argon2Hash) slow() bool { return true }

func (h argon2Hash) matches(secret string) bool {
	key := argon2.IDKey([]byte(secret), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

// saltAndKey decodes the end of a PHC string.
func saltAndKey(salt, key string) (s, k []byte, err error) {
	s, errSalt := base64.RawStdEncoding.DecodeString(salt)
	k, errKey := base64.RawStdEncoding.DecodeString(key)
	if errSalt != nil || errKey != nil || len(s) < 8 || len(s) > 64 || len(k) < 16 || len(k) > 64 {
		return nil, nil, errors.New("expected a salt of 8 to 64 and a hash of 16 to 64 bytes at its end, both base64 without padding")
	}
	return s, k, nil
}

// A bcryptHash is a bcrypt hash. bcrypt ignores all but the first 72 bytes of a secret, so a longer secret never matches.
type bcryptHash string

const maxBcrypt = 72

func parseBcrypt(line string) (secretHash, error) {
	cost, err := bcrypt.Cost([]byte(line))
	if err != nil || len(line) != 60 {
		return nil, errors.New("expected a bcrypt hash of 60 characters")
	}
	if cost > 14 {
		return nil, fmt.Errorf("the cost of bcrypt is out of bounds: expected at most 14, got %d", cost)
	}
	return bcryptHash(line), nil
}

func (h bcryptHash) slow() bool { return true }

func (h bcryptHash) matches(secret string) bool {
	short := secret[:min(len(secret), maxBcrypt)]
	return bcrypt.CompareHashAndPassword([]byte(h), []byte(short)) == nil && short == secret
}

// A pbkdf2Hash is a PBKDF2 hash (RFC 8018 §5.2) as Kong's hash_secret stores it, for clients that are migrated from Kong.
type pbkdf2Hash struct {
	salt, key  []byte
	iterations int
	digest     func() hash.Hash
}

func parsePBKDF2(scheme, rest string) (secretHash, error) {
	h := pbkdf2Hash{digest: sha512.New}
	if scheme == "pbkdf2-sha256" {
		h.digest = sha256.New
	}
	parts := strings.Split(rest, "$")
	var length int
	if len(parts) != 3 {
		return nil, errors.New("expected $" + scheme + "$i=...,l=...$salt$hash")
	}
	fmt.Sscanf(parts[0], "i=%d,l=%d", &h.iterations, &length)
	if parts[0] != fmt.Sprintf("i=%d,l=%d", h.iterations, length) || h.iterations < 1000 || h.iterations > 2_000_000 {
		return nil, errors.New("expected i=...,l=... after $" + scheme + "$, and 1000 to 2000000 iterations")
	}
	var err error
	if h.salt, h.key, err = saltAndKey(parts[1], parts[2]); err == nil && length != len(h.key) {
		err = errors.New("l isn't the length of the hash")
	}
	return h, err
}

func (h pbkdf2Hash) slow() bool { return true }

func (h pbkdf2Hash) matches(secret string) bool {
	key, err := pbkdf2.Key(h.digest, secret, h.salt, h.iterations, len(h.key))
	padded := strings.HasSuffix(secret, "\x00") // HMAC ignores trailing zeros of a key (RFC 2104 §2)
	return err == nil && subtle.ConstantTimeCompare(key, h.key) == 1 && !padded
}
