package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"sallyport/internal/page"
)

// pages reads a folder of the operator's own pages. Its mistakes are reported at their places in its files.
func (b *block) pages(key, folder string) *page.Set {
	if folder == "" {
		return nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		b.complain(key, "%s can't be read: %v: write the folder that holds the pages, relative to this file's", quote(folder), cause(err))
		return nil
	}
	files, good := map[string]string{}, true
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // editors' files and Kubernetes' ..data
			continue
		}
		text, ok := b.pageFile(folder, e.Name())
		files[e.Name()] = text
		good = good && ok
	}
	b.must(key, len(files) > 0, "%s holds no page: write one, such as 403.html", quote(folder))
	if !good || len(files) == 0 {
		return nil
	}
	set, problems := page.New(files)
	for _, p := range problems {
		b.problem(mark{filepath.Join(folder, p.File), p.Line}, "%s", p.Text)
	}
	return set
}

// pageFile reads one file of the folder.
func (b *block) pageFile(folder, name string) (text string, ok bool) {
	at := mark{file: filepath.Join(folder, name)}
	if !page.Part(name) && !slices.Contains(page.Names(), name) {
		if near := nearest(name, page.Names()); near != "" {
			b.problem(at, "no page has this name, did you mean %s?", near)
		} else {
			b.problem(at, "no page has this name: take it out; there are %s, and parts such as _head.html", strings.Join(page.Names(), ", "))
		}
		return "", false
	}
	if info, err := os.Stat(at.file); err == nil && !info.Mode().IsRegular() { // a pipe would block
		b.problem(at, "it isn't a regular file: write the page into a file of this name")
		return "", false
	}
	data, err := readFile(at.file)
	switch {
	case err != nil:
		b.problem(at, "the file can't be read: %v", err)
	case !utf8.Valid(data):
		b.problem(at, "it isn't UTF-8: save it as UTF-8")
	default:
		return string(data), true
	}
	return "", false
}
