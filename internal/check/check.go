// Package check has the checks of settings that several packages need. Each package of the gate checks its own settings with it and reports
// mistakes by key; package config adds the file and the line.
package check

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"sallyport/internal/auth"
)

// A Report collects the mistakes in settings, and knows the settings as they are written. The keys of nested mappings are joined with dots;
// an element of a list is name[0].
type Report interface {
	Complain(key, format string, args ...any) // reports a mistake; only the first one of a key counts
	Warn(key, format string, args ...any)     // reports a value that is valid and probably a mistake
	Missing(key, write string)                // reports that a required key is missing, and what to write
	IsSet(key string) bool                    // the key is written and its value isn't null
	IsBad(key string) bool                    // a mistake of the key, or of a mapping or list that has it, is reported
	Shown(key string) string                  // the value as it is written, quoted for a message
	Place(key, from string) string            // the place of a key, for a message about the key from
	InOrder([]SentHeader) []SentHeader        // sorts by the places of the keys
}

// A Checker checks settings and reports mistakes to its Report.
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

// Must complains unless holds is true.
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

// One complains about a text for which judge returns an error. An empty text is not checked.
func (c Checker) One(key, text string, judge func(string) error) {
	if text == "" {
		return
	}
	if err := judge(text); err != nil {
		c.Complain(key, "%s: %v", c.Shown(key), err)
	}
}

// Each complains about every text in a list for which judge returns an error.
func (c Checker) Each(key string, list []string, judge func(string) error) {
	for i, text := range list {
		element := fmt.Sprintf("%s[%d]", key, i)
		if err := judge(text); err != nil && !c.IsBad(element) {
			c.Complain(element, "%s: %v", c.Shown(element), err)
		}
	}
}

// Aligned complains if two lists, whose entries belong together by index, have different lengths.
func (c Checker) Aligned(first string, n int, second string, m int) {
	if c.IsBad(first) || c.IsBad(second) || n == m {
		return
	}
	if !c.IsSet(first) {
		first, n, second, m = second, m, first, n
	}
	c.Complain(first, "it has %s and %s has %d: write one for each", Entries(n), second, m)
}

// Entries returns "1 entry", "2 entries" and so on.
func Entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// PEM complains if a file can't be read or has no PEM certificate. An empty name is not checked.
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

// Audience checks audience_required, in which any accepts every audience.
func (c Checker) Audience(required []string) {
	for _, word := range required {
		if word != "any" {
			continue
		}
		if len(required) > 1 {
			c.Complain("audience_required", "any switches the check off, so the other values have no effect: take them out, or any")
			return
		}
		c.Warn("audience_required", "any accepts tokens that the issuer issued for other services")
	}
}

// exampleSecret matches secrets from examples.
var exampleSecret = regexp.MustCompile(
	`(?i)change[-_ ]?(me|this)|changeit|replace[-_ ]?(me|this)|your[-_ ]|<[^>]*>|example|placeholder|todo|xxxx`)

// Example warns of a secret that was copied from an example.
func (c Checker) Example(key string, secret auth.Secret) {
	if exampleSecret.MatchString(string(secret)) {
		c.Warn(key, "it looks like a secret from an example, which is publicly known: write your own (openssl rand -base64 32)")
	}
}

// MinSecret is the minimum length of a secret that encrypts or signs stored data, in bytes.
const MinSecret = 32

// Secrets complains about secrets shorter than MinSecret. An empty one is not checked.
func (c Checker) Secrets(key string, secrets []auth.Secret) {
	for i, secret := range secrets {
		c.Must(fmt.Sprintf("%s[%d]", key, i), len(secret) >= MinSecret || secret == "",
			"it has %d bytes and needs %d or more: write the output of openssl rand -base64 32", len(secret), MinSecret)
	}
}

var position = regexp.MustCompile(`\[\d+\]`)

// KeyName returns a key without the indices of lists, for messages.
func KeyName(key string) string {
	if strings.IndexByte(key, '[') < 0 {
		return key
	}
	return position.ReplaceAllString(key, "")
}

// maxFile is the maximum size of a configuration file and of a file that a setting names, in bytes.
const maxFile = 1 << 20

// ReadFile returns the contents of a file. It returns an error for a file over 1 MiB. Its errors don't have the file's name.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, Cause(err)
	}
	defer f.Close()
	return ReadLimited(f)
}

// ReadLimited reads in to its end. It returns an error for more than 1 MiB.
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

// Cause returns the cause of an fs.PathError, which doesn't have the file's name, and any other error as it is.
func Cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// A Problem is a mistake in settings.
type Problem struct {
	Key  string
	Text string // what is wrong, and what to write instead
}

func (p Problem) Error() string { return p.Key + ": " + p.Text }

// A List is a Report that lists the mistakes, for settings that aren't from a file. No key counts as set.
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

// Shown doesn't show the value, which may be a secret.
func (*List) Shown(string) string { return "the value" }
