package strict

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/check"
)

// errWanted says that a text isn't a value of the type.
var errWanted = errors.New("another kind of value")

// text returns a scalar's text with its ${...} replaced. ok is false after a complaint.
func (b *Block) text(path string, v *Value, f *Field) (text string, ok bool) {
	if v.Kind != Scalar {
		b.spoil(path, v, "expected %s, got %s%s", f.wants(Element(f.Type)), v.Kind, vaultHint(v))
		return "", false
	}
	if v.Null {
		b.spoil(path, v, "it is empty: write a value")
		return "", false
	}
	text, err := Expand(withoutNewline(v.Text), keyName(path), filepath.Dir(v.File))
	if err == nil {
		err = checkCharacters(text, v.Text, f.Lines)
	}
	if err != nil {
		b.spoil(path, v, "%v", err)
	}
	return text, err == nil
}

// withoutNewline cuts one final newline: editors and echo write it into files and variables, and YAML into a block scalar.
func withoutNewline(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
}

// checkCharacters refuses what can't be part of a value: control characters and the byte order mark. Lines lets line breaks and
// tabs stand. The error names where the value came from, by its text as it is written, and never the value.
func checkCharacters(text, written string, lines bool) error {
	from := "it"
	if m := reference.FindStringSubmatch(written); m != nil {
		from = map[string]string{"env": "the environment variable ", "file": "the file "}[m[1]] + m[2]
	}
	for at, r := range text {
		switch {
		case r == '\ufeff':
			return fmt.Errorf("%s holds a byte order mark (U+FEFF), which editors of Windows write: save it without one", from)
		case lines && (r == '\n' || r == '\r' || r == '\t'):
		case r == '\n':
			return fmt.Errorf("%s has more than one line, and one is expected: take the others out", from)
		case r < 0x20 || r == 0x7f:
			return fmt.Errorf("%s holds the control character U+%04X at byte %d: take it out", from, r, at+1)
		}
	}
	return nil
}

// reference matches a text that holds a ${...}.
var reference = regexp.MustCompile(`\$\{(env|file):([^}]*)\}`)

// Element is the type of a field's single values.
func Element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && !reflect.PointerTo(t).Implements(TextType) {
		t = t.Elem()
	}
	return t
}

func IsSecret(t reflect.Type) bool { return Element(t) == SecretType }

// vaultHint helps with a vault reference or a ${...} that lost its quotes and so became a mapping.
func vaultHint(v *Value) string {
	if v.Kind == Mapping && len(v.Pairs) == 1 && strings.HasPrefix(v.Pairs[0].Key, "vault://") {
		return ": put {vault://...} in quotes"
	}
	return ""
}

// scalar reads a single value.
func (b *Block) scalar(scope, path string, v *Value, f *Field, out reflect.Value) {
	text, ok := b.text(path, v, f)
	if !ok {
		return
	}
	if refused := b.hints().Value; refused != nil {
		if why := refused(scope, f.Name, text); why != "" {
			b.spoil(path, v, "%s", why)
			return
		}
	}
	if f.Enum != nil && !slices.Contains(f.Enum, text) {
		b.spoil(path, v, "expected %s, got %s", f.wants(out.Type()), quote(v.Text))
		return
	}
	if f.IsPath() && text != "" && !filepath.IsAbs(text) {
		text = filepath.Join(filepath.Dir(v.File), text)
	}
	err := set(out, text, f)
	switch {
	case errors.Is(err, errWanted):
		b.spoil(path, v, "expected %s, got %s", f.wants(out.Type()), quote(v.Text))
	case err != nil:
		b.spoil(path, v, "%v", err)
	}
}

// IsPath reports whether the field names a file or a folder, relative to that of the configuration file.
func (f *Field) IsPath() bool {
	return f.Name == "file" || f.Name == "pages" || strings.HasSuffix(f.Name, "_file")
}

// set reads text as out's type. Its errors don't hold the text.
func set(out reflect.Value, text string, f *Field) error {
	switch {
	case out.Type() == SecretType && text == "":
		return errors.New("the secret is empty: write it, or take the key out")
	case out.Type() == DurationType:
		d, err := duration(text, f.unit)
		out.SetInt(int64(d))
		return cmpBounds(err, d, f, func(s string) time.Duration { return must(duration(s, f.unit)) })
	case out.Addr().Type().Implements(TextType):
		if out.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)) != nil {
			return errWanted
		}
	case out.Kind() == reflect.Bool:
		out.SetBool(text == "true")
		if text != "true" && text != "false" {
			return errWanted
		}
	case out.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		out.SetInt(int64(n))
		return cmpBounds(err, n, f, Atoi)
	case out.Kind() == reflect.String:
		out.SetString(text)
	default:
		panic(fmt.Sprintf("config: no reader for %v", out.Type()))
	}
	return nil
}

// cmpBounds checks a number against min and max.
func cmpBounds[T int | time.Duration](err error, n T, f *Field, parse func(string) T) error {
	switch {
	case err != nil:
		return errWanted
	case f.Min != "" && n < parse(f.Min):
		return fmt.Errorf("it is too small: write %s or more", f.Min)
	case f.Max != "" && n > parse(f.Max):
		return fmt.Errorf("it is too large: write %s or less", f.Max)
	case n < 0:
		return errors.New("it is negative: write 0 or more")
	}
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Atoi reads a bound of a tag; none is 0.
func Atoi(s string) int {
	if s == "" {
		return 0
	}
	return must(strconv.Atoi(s))
}

var number = regexp.MustCompile(`^-?\d{1,12}(\.\d{1,9})?$`)

// duration reads a bare number of units, or Go's notation.
func duration(text string, unit time.Duration) (time.Duration, error) {
	if !number.MatchString(text) {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseFloat(text, 64)
	if math.Abs(n)*float64(unit) >= math.MaxInt64 {
		return 0, errWanted
	}
	return time.Duration(math.Round(n * float64(unit))), err
}

func quote(text string) string { return check.Quote(text) }
