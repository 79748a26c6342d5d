// Package check judges settings: what their texts must look like, and what is wrong with them, by key. The rooms of the gate check
// their own settings with it; the configuration adds the file and the line.
package check

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"

	"sallyport/internal/auth"
)

// A Report takes the problems of settings. Keys of mappings are joined with dots, elements of lists are name[0].
type Report interface {
	Complain(key, format string, args ...any) // a mistake; only the first of each key counts
	Warn(key, format string, args ...any)     // what works and is seldom meant
	Missing(key, write string)                // a key that must be there isn't
	IsSet(key string) bool                    // the key is written, with another value than null
	IsBad(key string) bool                    // a mistake of the key, or of what encloses it, is reported already
	Shown(key string) string                  // the value as it is written, quoted for a message
	Place(key, from string) string            // where a key stands, as seen from another key
	InOrder([]SentHeader) []SentHeader        // by the places of their keys
}

// A Checker judges settings and reports what is wrong with them.
type Checker struct{ Report }

// Below returns a Checker of settings whose keys begin with prefix, which its own keys leave out.
func (c Checker) Below(prefix string) Checker { return Checker{below{c.Report, prefix}} }

type below struct {
	Report
	prefix string
}

func (b below) Complain(key, format string, args ...any) {
	b.Report.Complain(b.prefix+key, format, args...)
}
func (b below) Warn(key, format string, args ...any) { b.Report.Warn(b.prefix+key, format, args...) }
func (b below) Missing(key, write string)            { b.Report.Missing(b.prefix+key, write) }
func (b below) IsSet(key string) bool                { return b.Report.IsSet(b.prefix + key) }
func (b below) IsBad(key string) bool                { return b.Report.IsBad(b.prefix + key) }
func (b below) Shown(key string) string              { return b.Report.Shown(b.prefix + key) }
func (b below) Place(key, from string) string        { return b.Report.Place(b.prefix+key, b.prefix+from) }

// Must complains unless something holds.
func (c Checker) Must(key string, holds bool, format string, args ...any) {
	if !holds {
		c.Complain(key, format, args...)
	}
}

// Err complains with an error, unless it is nil.
func (c Checker) Err(key string, err error) {
	if err != nil {
		c.Complain(key, "%v", err)
	}
}

// One judges a text, unless it is empty.
func (c Checker) One(key, text string, judge func(string) error) {
	if text == "" {
		return
	}
	if err := judge(text); err != nil {
		c.Complain(key, "%s: %v", c.Shown(key), err)
	}
}

// Each judges every element of a list of texts.
func (c Checker) Each(key string, list []string, judge func(string) error) {
	for i, text := range list {
		element := fmt.Sprintf("%s[%d]", key, i)
		if err := judge(text); err != nil && !c.IsBad(element) {
			c.Complain(element, "%s: %v", c.Shown(element), err)
		}
	}
}

// Aligned demands that two lists, which are read by index, are equally long.
func (c Checker) Aligned(first string, n int, second string, m int) {
	if c.IsBad(first) || c.IsBad(second) || n == m {
		return
	}
	if !c.IsSet(first) {
		first, n, second, m = second, m, first, n
	}
	c.Complain(first, "it has %s and %s has %d: write one for each", Entries(n), second, m)
}

// Entries writes a number of entries.
func Entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// PEM judges a file of certificates, unless its name is empty.
func (c Checker) PEM(key, name string) {
	if name == "" {
		return
	}
	data, err := ReadFile(name)
	if err != nil {
		c.Complain(key, "%s can't be read: %v", Quote(name), err)
		return
	}
	c.Must(key, x509.NewCertPool().AppendCertsFromPEM(data), "%s holds no PEM certificate", Quote(name))
}

// Audience judges a list of accepted audiences, in which one word has a meaning of its own.
func (c Checker) Audience(required []string) {
	for _, word := range required {
		if word != "any" {
			continue
		}
		if len(required) > 1 {
			c.Complain("audience_required", "any stands alone, because it switches the check off: take the others out, or any")
			return
		}
		c.Warn("audience_required", "any lets in tokens that the issuer made for any other service")
	}
}

// exampleSecret matches secrets that stand in examples.
var exampleSecret = regexp.MustCompile(`(?i)change[-_ ]?(me|this)|changeit|replace[-_ ]?(me|this)|your[-_ ]|<[^>]*>|example|placeholder|todo|xxxx`)

// Example warns of a secret that stands in examples, so that everybody may know it.
func (c Checker) Example(key string, secret auth.Secret) {
	if exampleSecret.MatchString(string(secret)) {
		c.Warn(key, "it looks like the secret of an example, which others know: write one of your own (openssl rand -base64 32)")
	}
}

// MinSecret is the least length of a secret that protects what is stored, in bytes.
const MinSecret = 32

// Secrets judges secrets that protect what is stored.
func (c Checker) Secrets(key string, secrets []auth.Secret) {
	for i, secret := range secrets {
		c.Must(fmt.Sprintf("%s[%d]", key, i), len(secret) >= MinSecret || secret == "",
			"it has %d bytes and needs %d or more: write the output of openssl rand -base64 32", len(secret), MinSecret)
	}
}

var position = regexp.MustCompile(`\[\d+\]`)

// KeyName returns a key as messages name it: without the positions in lists.
func KeyName(key string) string { return position.ReplaceAllString(key, "") }

// maxFile bounds the configuration files and the files that settings name, in bytes.
const maxFile = 1 << 20

// ReadFile returns the bytes of a file, at most 1 MiB. Its errors don't repeat the name.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, Cause(err)
	}
	defer f.Close()
	return ReadLimited(f)
}

// ReadLimited reads at most 1 MiB.
func ReadLimited(in io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, Cause(err)
	}
	if len(data) > maxFile {
		return nil, errors.New("it is longer than 1 MiB")
	}
	return data, nil
}

// Cause returns an error of the file system without the name of the file.
func Cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// A Problem is a mistake in the settings of one room.
type Problem struct {
	Key  string
	Text string // what is wrong, and what to write instead
}

func (p Problem) Error() string { return p.Key + ": " + p.Text }

// A List is a Report that keeps the mistakes, for settings that come from no file. No key counts as written.
type List struct{ Problems []Problem }

// Complain adds a mistake.
func (l *List) Complain(key, format string, args ...any) {
	l.Problems = append(l.Problems, Problem{key, fmt.Sprintf(format, args...)})
}

// Warn does nothing.
func (*List) Warn(string, string, ...any) {}

// Missing adds a mistake.
func (l *List) Missing(key, write string) { l.Complain(key, "it is missing: write %s", write) }

// IsSet returns false.
func (*List) IsSet(string) bool { return false }

// IsBad reports whether the key has a mistake.
func (l *List) IsBad(key string) bool {
	for _, p := range l.Problems {
		if p.Key == key {
			return true
		}
	}
	return false
}

// Place returns the key.
func (*List) Place(key, _ string) string { return key }

// InOrder returns the headers as they are.
func (*List) InOrder(all []SentHeader) []SentHeader { return all }

// Shown returns nothing: a value may be a secret.
func (*List) Shown(string) string { return "the value" }
