package page

import (
	"fmt"
	"html/template"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/auth"
)

// A Problem is a mistake in a file. Text says what is wrong and what to write instead.
type Problem struct {
	File string
	Line int // from 1; 0 means the whole file
	Text string
}

// New returns the pages of a folder. Files has their content by file name; each name is one of Names, or a Part. New renders each page with
// samples of what it may have to show. A page that fails, or lacks an element that users need to continue, is a Problem.
func New(files map[string]string) (*Set, []Problem) {
	l := &loader{files: files, set: &Set{own: map[string]*template.Template{}, style: builtinStyle}, parts: template.New("")}
	if sheet, own := files[styleName]; own {
		l.readStyle(sheet)
	}
	l.set.policy = policy(l.set.style)
	names := slices.Sorted(maps.Keys(files))
	for _, name := range names {
		if Part(name) {
			if _, err := l.parts.New(name).Parse(files[name]); err != nil {
				l.templateError(name, err)
			}
		}
	}
	if len(l.problems) > 0 { // every page with the part would have the same problem
		return nil, l.problems
	}
	for _, name := range names {
		if name != styleName && !Part(name) {
			l.readPage(name)
		}
	}
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return l.set, nil
}

// A loader makes one Set.
type loader struct {
	files    map[string]string
	set      *Set
	parts    *template.Template
	problems []Problem
}

// problem adds a problem once.
func (l *loader) problem(file string, line int, format string, args ...any) {
	p := Problem{file, line, fmt.Sprintf(format, args...)}
	if !slices.Contains(l.problems, p) {
		l.problems = append(l.problems, p)
	}
}

// readPage parses a page and renders each of its samples.
func (l *loader) readPage(name string) {
	t, err := l.parts.Clone()
	if err == nil {
		t, err = t.New(name).Parse(l.files[name])
	}
	if err != nil {
		l.templateError(name, err)
		return
	}
	l.set.own[name] = t
	for _, s := range samplesOf(name) {
		html, err := execute(t, l.set.view(&s.page, s.status, "sample-request"))
		if err != nil {
			l.templateError(name, err)
			return
		}
		l.checkBlocked(name, string(html))
		if what := s.missing(string(html)); what != "" && name == s.page.Kind+".html" {
			l.problem(name, 0, "it lacks %s", what)
		} else if what != "" {
			l.problem(name, 0, "as %s it lacks %s", s.page.Kind, what)
		}
	}
}

// readStyle reads the style sheet. Browsers normalize line ends to LF (HTML §13.2.3.5) before they compare the hash, so readStyle does so
// too.
func (l *loader) readStyle(sheet string) {
	l.set.style = strings.ReplaceAll(strings.ReplaceAll(sheet, "\r\n", "\n"), "\r", "\n")
	n := 0
	for line := range strings.Lines(l.set.style) {
		n++
		lower := strings.ToLower(line)
		if strings.Contains(lower, "</style") || strings.Contains(lower, "<!--") {
			l.problem(styleName, n, "a sheet holds no HTML: take it out")
		}
		if strings.Contains(lower, "@import") || hasExternal(urls, line) {
			l.problem(styleName, n, "nothing is fetched for a page: write what it is into this file, pictures and fonts as url(data:...)")
		}
	}
}

var (
	urls   = regexp.MustCompile(`(?i)\burl\(\s*["']?([^"')]*)`)
	images = regexp.MustCompile(`(?i)<img\b[^>]*\ssrc\s*=\s*["']?([^"'\s>]*)`)
)

// hasExternal reports whether a text has a URL, by the given pattern, that is neither a data URL nor a fragment.
func hasExternal(pattern *regexp.Regexp, text string) bool {
	return slices.ContainsFunc(pattern.FindAllStringSubmatch(text, -1), func(m []string) bool {
		return !strings.HasPrefix(strings.ToLower(m[1]), "data:") && !strings.HasPrefix(m[1], "#")
	})
}

// blockedHTML lists the HTML that the Content-Security-Policy blocks: how it is found in a rendered page, and in a file.
var blockedHTML = []struct {
	found       func(html string) bool
	at          *regexp.Regexp
	what, write string
}{
	{regexp.MustCompile(`(?i)<script\b`).MatchString, regexp.MustCompile(`(?i)<script\b`), "no script runs on these pages", "take it out"},
	{regexp.MustCompile(`(?i)<[a-z][^>]*\son[a-z]+\s*=`).MatchString, regexp.MustCompile(`(?i)\son[a-z]+\s*=`),
		"no script runs on these pages", "take it out"},
	{regexp.MustCompile(`(?i)<style\b`).MatchString, regexp.MustCompile(`(?i)<style\b`), "a <style> of its own isn't applied",
		"write the sheet into style.css, and {{.Style}} here, which is the whole element"},
	{regexp.MustCompile(`(?i)<[a-z][^>]*\sstyle\s*=`).MatchString, regexp.MustCompile(`(?i)\sstyle\s*=`), "style attributes aren't applied",
		"write class=, and its rules into style.css"},
	{regexp.MustCompile(`(?i)<link\b[^>]*stylesheet`).MatchString, regexp.MustCompile(`(?i)<link\b`), "no sheet is fetched",
		"write it into style.css, and {{.Style}} here"},
	{regexp.MustCompile(`(?i)<(iframe|object|embed|video|audio)\b`).MatchString,
		regexp.MustCompile(`(?i)<(iframe|object|embed|video|audio)\b`),
		"nothing is fetched for a page", "take it out"},
	{func(html string) bool { return hasExternal(images, html) }, regexp.MustCompile(`(?i)<img\b`), "no picture is fetched",
		"write src=\"data:...\", or the <svg> itself"},
}

// checkBlocked adds a problem for each use of HTML that the browser would block.
func (l *loader) checkBlocked(name, html string) {
	html = strings.ReplaceAll(html, "<style>"+l.set.style+"</style>", "")
	for _, b := range blockedHTML {
		if b.found(html) {
			file, line := l.locate(name, b.at)
			l.problem(file, line, "%s (Content-Security-Policy): %s", b.what, b.write)
		}
	}
}

// locate returns where a page has a text: in its own file, or in a part.
func (l *loader) locate(name string, what *regexp.Regexp) (file string, line int) {
	for _, file := range append([]string{name}, slices.Sorted(maps.Keys(l.files))...) {
		if file != name && !Part(file) {
			continue
		}
		if at := what.FindStringIndex(l.files[file]); at != nil {
			return file, 1 + strings.Count(l.files[file][:at[0]], "\n")
		}
	}
	return name, 0
}

var (
	place     = regexp.MustCompile(`(?s)^(?:html/)?template: ?([^:\s]+?)(?::(\d+))?(?::\d+)?: (.*)$`)
	executing = regexp.MustCompile(`(?s)^executing "[^"]*" at <(.*?)>: (.*)$`)
	field     = regexp.MustCompile(`^can't evaluate field (\w+) in type (\S+)$`)
)

// templateError adds the error of a template as a problem.
func (l *loader) templateError(name string, err error) {
	text, line := err.Error(), 0
	if m := place.FindStringSubmatch(text); m != nil {
		name, text = m[1], m[3]
		line, _ = strconv.Atoi(m[2])
	}
	l.problem(name, line, "%s", remedy(text))
}

// remedy adds to the error of a template what to write instead.
func remedy(text string) string {
	if m := executing.FindStringSubmatch(text); m != nil {
		if f := field.FindStringSubmatch(m[2]); f != nil {
			return unknownField(f[1], f[2])
		}
		return fmt.Sprintf("{{%s}}: %s: not every page has as much: ask by {{if}} or {{with}} before", m[1], m[2])
	}
	switch {
	case strings.HasPrefix(text, "function "):
		return text + ": Go's html/template has its own functions only, such as eq, and, or, printf: take it out"
	case strings.Contains(text, "unexpected EOF"):
		return text + ": write the {{end}} that an {{if}}, {{range}}, {{with}} or {{define}} needs"
	case strings.HasPrefix(text, "no such template"):
		return text + ": a part is a file of this folder whose name begins with _"
	}
	return text + ": write it as Go's html/template reads it"
}

// unknownField returns the problem of a field that doesn't exist. It lists the fields that do.
func unknownField(name, typ string) string {
	for _, t := range []reflect.Type{reflect.TypeFor[view](), reflect.TypeFor[auth.Choice](), reflect.TypeFor[auth.Field]()} {
		if strings.TrimPrefix(typ, "*") != t.String() {
			continue
		}
		text := fmt.Sprintf("there is no .%s here: there are .%s", name, strings.Join(fieldsOf(t), ", ."))
		if t != reflect.TypeFor[view]() && slices.Contains(fieldsOf(reflect.TypeFor[view]()), name) {
			text += fmt.Sprintf("; $.%s is the page's", name)
		}
		return text
	}
	return fmt.Sprintf("there is no .%s here, a %s has no fields: take it out", name, typ)
}

// fieldsOf returns the names of a type's fields, sorted.
func fieldsOf(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous && !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return names
}
