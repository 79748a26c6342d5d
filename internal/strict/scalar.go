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

// errType means that a text isn't a value of the field's type.
var errType = errors.New("a value of another type")

// text returns the expanded text of a scalar. If ok is false, it has reported a problem.
func (b *Block) text(path string, v *Value, f *Field) (text string, ok bool) {
	if v.Kind != Scalar {
		b.reject(path, v, "expected %s, got %s%s", f.expected(Element(f.Type)), v.Kind, vaultHint(v))
		return "", false
	}
	if v.Null {
		b.reject(path, v, "it is empty: write a value")
		return "", false
	}
	text, err := b.Expand(withoutNewline(v.Text), keyName(path), filepath.Dir(v.File))
	if err == nil {
		err = checkCharacters(text, v.Text, f.Lines)
	}
	if err != nil {
		b.reject(path, v, "%v", err)
	}
	return text, err == nil
}

// withoutNewline removes one final newline, which editors and echo write into files and variables, and YAML into a block scalar.
func withoutNewline(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
}

// checkCharacters returns an error for control characters and a byte order mark. If lines is true, it accepts line breaks and tabs. The
// error has the variable or file of the value, taken from written, the text before expansion. It never has the value.
func checkCharacters(text, written string, lines bool) error {
	from := "it"
	if m := reference.FindStringSubmatch(written); m != nil {
		from = map[string]string{"env": "the environment variable ", "file": "the file "}[m[1]] + m[2]
	}
	for at, r := range text {
		switch {
		case r == '\ufeff':
			return fmt.Errorf("%s holds a byte order mark (U+FEFF), which Windows editors write: save it without one", from)
		case lines && (r == '\n' || r == '\r' || r == '\t'):
		case r == '\n':
			return fmt.Errorf("%s has more than one line, expected one: take the others out", from)
		case r < 0x20 || r == 0x7f:
			return fmt.Errorf("%s holds the control character U+%04X at byte %d: take it out", from, r, at+1)
		}
	}
	return nil
}

// reference matches a text with a ${...}.
var reference = regexp.MustCompile(`\$\{(env|file):([^}]*)\}`)

// Element returns the type of the single values of a field: below pointers and lists.
func Element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && !reflect.PointerTo(t).Implements(TextType) {
		t = t.Elem()
	}
	return t
}

// IsSecret reports whether the values of a type are secrets.
func IsSecret(t reflect.Type) bool { return Element(t) == SecretType }

// vaultHint returns the advice for a vault reference without quotes, which YAML reads as a mapping.
func vaultHint(v *Value) string {
	if v.Kind == Mapping && len(v.Pairs) == 1 && strings.HasPrefix(v.Pairs[0].Key, "vault://") {
		return ": put {vault://...} in quotes"
	}
	return ""
}

// scalar decodes a single value.
func (b *Block) scalar(scope, path string, v *Value, f *Field, out reflect.Value) {
	text, ok := b.text(path, v, f)
	if !ok {
		return
	}
	if valueProblem := b.hints().Value; valueProblem != nil {
		if problem := valueProblem(scope, f.Name, text); problem != "" {
			b.reject(path, v, "%s", problem)
			return
		}
	}
	if f.Enum != nil && !slices.Contains(f.Enum, text) {
		b.reject(path, v, "expected %s, got %s", f.expected(out.Type()), quote(v.Text))
		return
	}
	if f.IsPath() && text != "" && !filepath.IsAbs(text) {
		text = filepath.Join(filepath.Dir(v.File), text)
	}
	if f.IsPath() && text != "" && !f.Live {
		b.Uses(text)
	}
	err := parse(out, text, f)
	switch {
	case errors.Is(err, errType):
		b.reject(path, v, "expected %s, got %s", f.expected(out.Type()), quote(v.Text))
	case err != nil:
		b.reject(path, v, "%v", err)
	}
}

// IsPath reports whether the field is the path of a file or a folder, which is relative to the folder of the configuration file.
func (f *Field) IsPath() bool {
	return f.Name == "file" || f.Name == "folder" || f.Name == "pages" || strings.HasSuffix(f.Name, "_file")
}

// parse parses text as out's type and sets out. Its errors don't have the text. It returns errType if the type doesn't fit.
func parse(out reflect.Value, text string, f *Field) error {
	switch {
	case out.Type() == SecretType && text == "":
		return errors.New("the secret is empty: write it, or take the key out")
	case out.Type() == DurationType:
		d, err := duration(text, f.unit)
		out.SetInt(int64(d))
		return checkBounds(err, d, f, func(s string) time.Duration { return must(duration(s, f.unit)) })
	case out.Addr().Type().Implements(TextType):
		if out.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)) != nil {
			return errType
		}
	case out.Kind() == reflect.Bool:
		out.SetBool(text == "true")
		if text != "true" && text != "false" {
			return errType
		}
	case out.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		out.SetInt(int64(n))
		return checkBounds(err, n, f, Atoi)
	case out.Kind() == reflect.String:
		out.SetString(text)
	default:
		panic(fmt.Sprintf("strict: fields of type %v aren't supported", out.Type()))
	}
	return nil
}

// checkBounds checks a number against the field's min and max, which bound parses. err is the error of parsing n itself.
func checkBounds[T int | time.Duration](err error, n T, f *Field, bound func(string) T) error {
	switch {
	case err != nil:
		return errType
	case f.Min != "" && n < bound(f.Min):
		return fmt.Errorf("it is too small: write %s or more", f.Min)
	case f.Max != "" && n > bound(f.Max):
		return fmt.Errorf("it is too large: write %s or less", f.Max)
	case n < 0:
		return errors.New("it is negative: write 0 or more")
	}
	return nil
}

// must panics on an error, which is a mistake in a struct tag.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Atoi parses a bound of a tag. An empty one is 0.
func Atoi(s string) int {
	if s == "" {
		return 0
	}
	return must(strconv.Atoi(s))
}

var number = regexp.MustCompile(`^-?\d{1,12}(\.\d{1,9})?$`)

// duration parses a number of units, or the notation of time.ParseDuration.
func duration(text string, unit time.Duration) (time.Duration, error) {
	if !number.MatchString(text) {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseFloat(text, 64)
	if math.Abs(n)*float64(unit) >= math.MaxInt64 {
		return 0, errType
	}
	return time.Duration(math.Round(n * float64(unit))), err
}

func quote(text string) string { return check.Quote(text) }
