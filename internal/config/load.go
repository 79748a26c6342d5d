package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Load reads a configuration file: a process file, which names its routes, or one file with route: for everything. The error
// is Problems: everything that is wrong.
func Load(name string) (*File, error) {
	return load(name, false, func(r *report) *value { return r.read(name) })
}

// load makes a configuration of the tree that read returns, and of environment variables; alone says that there is no file.
func load(name string, alone bool, read func(*report) *value) (*File, error) {
	l := &loader{report: &report{}, file: &File{Name: name}}
	if root := read(l.report); root != nil {
		l.environment(root, alone)
		l.root(root)
		l.check()
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	sortProblems(l.warnings)
	for _, w := range l.warnings {
		l.file.warnings = append(l.file.warnings, w.Error())
	}
	return l.file, nil
}

// A loader reads one configuration.
type loader struct {
	*report
	file    *File
	process *block
	oidc    *value          // the process's defaults, flat
	seen    map[string]bool // files that a pattern before has matched
}

// parts are the keys of a route, which stand beside each other in its file; the rest are the process's.
type parts struct {
	route, oidc, rules, routes *pair
	rest                       *value
}

func split(root *value) parts {
	p := parts{rest: &value{mark: root.mark, kind: mapping}}
	known := map[string]**pair{"route": &p.route, "oidc": &p.oidc, "rules": &p.rules, "routes": &p.routes}
	for i := range root.pairs {
		if slot := known[root.pairs[i].key]; slot != nil {
			*slot = &root.pairs[i]
			continue
		}
		p.rest.put(root.pairs[i])
	}
	return p
}

// root reads the file that was named to Load.
func (l *loader) root(root *value) {
	p := split(root)
	l.process = newBlock(l.report, root.mark)
	l.process.decode("", "", p.rest, reflect.ValueOf(l.file).Elem())
	l.oidc = &value{mark: root.mark, kind: mapping}
	switch {
	case p.route != nil && p.routes != nil:
		l.problem(p.routes.mark, "routes: this file has route: on %s, so it is one route: take one of them out", p.route.from(p.routes.mark))
	case p.route != nil:
		l.route(baseName(root.file), p)
	case p.routes == nil:
		l.problem(root.mark, "neither route: nor routes: is here: write route: {upstream: http://host:port}, or routes: routes/*.yaml")
	default:
		l.defaults(p)
		l.seen = map[string]bool{}
		l.routes(p.routes.value)
	}
}

// defaults reads the process's oidc block. It is decoded for its own sake too: a mistake in it is one even where no route
// inherits it.
func (l *loader) defaults(p parts) {
	if p.rules != nil {
		l.problem(p.rules.mark, "rules: they belong to a route: write them beside its route:")
	}
	if l.oidc = l.mapping("oidc", p.oidc); l.oidc == nil {
		l.oidc = &value{kind: mapping}
		return
	}
	l.oidc = l.flatten(l.oidc)
	newBlock(l.report, l.oidc.mark).decode("oidc", "", l.oidc, reflect.ValueOf(&OIDC{}).Elem())
}

// mapping returns a key's mapping, or nil if it is absent, null, or something else, which is reported.
func (l *loader) mapping(key string, p *pair) *value {
	if p == nil || p.value.null {
		return nil
	}
	if p.value.kind != mapping {
		l.problem(p.mark, "%s: expected a mapping, got %s: write its keys below it", key, p.value.kind)
		return nil
	}
	return p.value
}

// routes reads the value of routes:, a pattern of files, or a list of patterns and routes.
func (l *loader) routes(v *value) {
	entries := v.items
	switch {
	case v.kind == scalar && !v.null:
		entries = []*value{v}
	case v.kind == mapping:
		l.problem(v.mark, "routes: expected a list of routes, got a mapping: write \"- \" before route:, and indent the rest")
		return
	case len(entries) == 0:
		l.problem(v.mark, "routes: it is empty: write routes: routes/*.yaml, or a list of routes")
	}
	for i, e := range entries {
		switch {
		case e.kind == mapping:
			l.inner(fmt.Sprintf("route-%d", i+1), e)
		case e.kind == scalar && !e.null:
			l.pattern(e)
		default:
			l.problem(e.mark, "routes: expected a pattern such as routes/*.yaml, or a route, got %s", describe(e))
		}
	}
}

func describe(v *value) string {
	if v.null {
		return "nothing"
	}
	return string(v.kind)
}

// pattern reads the route files that a pattern matches, in the order of their names.
func (l *loader) pattern(v *value) {
	folder := filepath.Dir(l.file.Name)
	pattern, err := expand(v.text, "routes", folder)
	if err != nil {
		l.problem(v.mark, "routes: %v", err)
		return
	}
	if strings.Contains(pattern, "**") { // filepath.Glob reads it as *: files further down would be left out without a word
		l.problem(v.mark, "routes: %s: ** stands for nothing: write a pattern for each folder, as in [routes/*.yaml, routes/more/*.yaml]",
			quote(v.text))
		return
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(folder, pattern)
	}
	names, err := filepath.Glob(pattern)
	names = slices.DeleteFunc(names, func(n string) bool { // as a shell does: editors' files and Kubernetes' ..data
		return strings.HasPrefix(filepath.Base(n), ".") && !strings.HasPrefix(filepath.Base(pattern), ".")
	})
	if err != nil || len(names) == 0 {
		l.problem(v.mark, "routes: no file matches %s: the pattern is relative to this file's folder", quote(v.text))
	}
	for _, name := range names {
		l.routeFile(v, name)
	}
}

func (l *loader) routeFile(v *value, name string) {
	if sameFile(name, l.file.Name) {
		l.problem(v.mark, "routes: the pattern matches this file itself: keep routes in a folder of their own, as in routes/*.yaml")
		return
	}
	if l.seen[name] {
		return
	}
	l.seen[name] = true
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // a pipe would block
		l.problem(v.mark, "routes: %s isn't a regular file: match files, as in routes/*.yaml", quote(name))
		return
	}
	if root := l.read(name); root != nil {
		l.inner(baseName(name), root)
	}
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	second, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(first, second)
}

func baseName(name string) string { return strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)) }

// inner reads a route that isn't the root: process keys have no place beside it.
func (l *loader) inner(name string, root *value) {
	p := split(root)
	if p.routes != nil {
		p.rest.put(*p.routes)
	}
	known := shapeOf(reflect.TypeFor[File]())
	for _, k := range p.rest.pairs {
		switch {
		case known.byName[k.key] != nil || refusals[""][k.key] != nil || k.key == "routes":
			l.problem(k.mark, "%s: it belongs to the process: write it into %s, beside routes:", k.key, l.file.Name)
		default:
			l.problem(k.mark, "unknown key %s%s", k.key, hint("file", k.key, []string{"route", "oidc", "rules"}))
		}
	}
	if p.route == nil {
		l.problem(root.mark, "route is missing: write route: {upstream: http://host:port}")
		return
	}
	l.route(name, p)
}

// route reads one route, and adds it to the file's.
func (l *loader) route(name string, p parts) {
	b := newBlock(l.report, p.route.mark)
	r := Route{Name: name, Place: p.route.mark.String(), block: b}
	if p.route.value.kind != mapping {
		l.problem(p.route.mark, "route: expected a mapping, got %s: write route: {upstream: http://host:port}", describe(p.route.value))
		b.entries["upstream"] = &entry{mark: p.route.mark, bad: true}
	} else {
		b.decode("route", "", p.route.value, reflect.ValueOf(&r.Route).Elem())
	}
	own, oidc := l.mapping("oidc", p.oidc), l.oidc
	if own != nil {
		oidc = merge(l.oidc, l.flatten(own))
		b.entries["oidc"] = &entry{mark: p.oidc.mark, set: true}
	}
	issuer := oidc.get("issuer")
	r.HasOIDC = own != nil || issuer != nil && !issuer.value.null
	if own == nil && p.oidc != nil && !p.oidc.value.null { // complained about: what it might have said isn't missing
		r.HasOIDC = true
		b.entries["issuer"], b.entries["client_id"] = &entry{bad: true}, &entry{bad: true}
	}
	oidc, entries := l.takeIssuers(b, oidc)
	b.decode("oidc", "", oidc, reflect.ValueOf(&r.OIDC).Elem())
	for _, v := range entries {
		r.Issuers = append(r.Issuers, l.issuer(b, &r, oidc, v))
	}
	r.HasOIDC = r.HasOIDC || len(r.Issuers) > 0
	r.Rules = l.rules(p.rules)
	l.file.Routes = append(l.file.Routes, r)
}

func (l *loader) rules(p *pair) (rules []Rule) {
	if p == nil || p.value.null {
		return nil
	}
	if p.value.kind != list {
		l.problem(p.mark, "rules: expected a list of rules, got %s: write \"- \" before each rule", p.value.kind)
		return nil
	}
	for _, v := range p.value.items {
		if v.kind != mapping {
			l.problem(v.mark, "rules: expected a mapping such as paths: and auth:, got %s", describe(v))
			continue
		}
		r := Rule{Place: v.mark.String(), block: newBlock(l.report, v.mark)}
		r.block.decode("rules", "", v, reflect.ValueOf(&r).Elem())
		rules = append(rules, r)
	}
	return rules
}
