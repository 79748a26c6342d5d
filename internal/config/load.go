package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/strict"
)

// Load loads a process file with its route files, or one file with route: for everything. Its error is strict.Problems.
func Load(name string) (*File, error) { return FromFile(name).Load() }

// load returns the configuration in the tree that read returns and in environment variables, and the files that it names, also with an
// error. noFile means that the configuration has no file.
func load(name string, noFile bool, read func(*strict.Report) *strict.Value) (*File, []string, error) {
	l := &loader{Report: &strict.Report{Hints: hints}, file: &File{Name: name}}
	if root := read(l.Report); root != nil {
		environment(l.Report, root, noFile)
		l.root(root)
		l.check()
	}
	if err := l.Err(); err != nil {
		return nil, l.Files, err
	}
	strict.SortProblems(l.Warnings)
	for _, w := range l.Warnings {
		l.file.warnings = append(l.file.warnings, w.Error())
	}
	return l.file, l.Files, nil
}

// A loader loads one configuration.
type loader struct {
	*strict.Report
	file    *File
	process *strict.Block
	oidc    *strict.Value   // the process's defaults, flat
	seen    map[string]bool // route files that are loaded
}

// topLevel has the keys at the top level of a file. The keys of the process are the rest.
type topLevel struct {
	route, oidc, mcp, rules, routes *strict.Pair // nil: not written
	rest                            *strict.Value
}

// split returns the keys at the top level of a file.
func split(root *strict.Value) topLevel {
	p := topLevel{rest: strict.NewMapping(root.Mark)}
	known := map[string]**strict.Pair{"route": &p.route, "oidc": &p.oidc, "mcp": &p.mcp, "rules": &p.rules, "routes": &p.routes}
	for i := range root.Pairs {
		if slot := known[root.Pairs[i].Key]; slot != nil {
			*slot = &root.Pairs[i]
			continue
		}
		p.rest.Put(root.Pairs[i])
	}
	return p
}

// root decodes the file that is the argument of Load.
func (l *loader) root(root *strict.Value) {
	p := split(root)
	l.process = strict.NewBlock(l.Report, root.Mark)
	l.process.Decode("", p.rest, l.file)
	l.oidc = strict.NewMapping(root.Mark)
	switch {
	case p.route != nil && p.routes != nil:
		l.Problemf(p.routes.Mark, "routes: this file has route: on %s too: take one of them out", p.route.From(p.routes.Mark))
	case p.route != nil:
		l.route(baseName(root.File), p)
	case p.routes == nil:
		l.Problemf(root.Mark, "route: or routes: is missing: write route: {upstream: http://host:port}, or routes: routes/*.yaml")
	default:
		l.defaults(p)
		l.seen = map[string]bool{}
		l.routes(p.routes.Value)
	}
}

// defaults sets the process's defaults for oidc blocks. It decodes them once, so that a problem is reported even if no route inherits it.
func (l *loader) defaults(p topLevel) {
	if p.rules != nil {
		l.Problemf(p.rules.Mark, "rules: they belong to a route: write them beside its route:")
	}
	if p.mcp != nil {
		l.Problemf(p.mcp.Mark, "mcp: it belongs to a route: write it beside its route:")
	}
	if l.oidc = l.mapping("oidc", p.oidc); l.oidc == nil {
		l.oidc = &strict.Value{Kind: strict.Mapping}
		return
	}
	l.oidc = flatten(l.Report, l.oidc)
	strict.NewBlock(l.Report, l.oidc.Mark).Decode("oidc", l.oidc, &OIDC{})
}

// mapping returns the mapping of a key. It returns nil if the key is missing or null. It reports another value and returns nil.
func (l *loader) mapping(key string, p *strict.Pair) *strict.Value {
	if p == nil || p.Value.Null {
		return nil
	}
	if p.Value.Kind != strict.Mapping {
		l.Problemf(p.Mark, "%s: expected a mapping, got %s: write its keys below it", key, p.Value.Kind)
		return nil
	}
	return p.Value
}

// routes decodes the value of routes, which is a file pattern, or a list of file patterns and routes.
func (l *loader) routes(v *strict.Value) {
	entries := v.Items
	switch {
	case v.Kind == strict.Scalar && !v.Null:
		entries = []*strict.Value{v}
	case v.Kind == strict.Mapping:
		l.Problemf(v.Mark, "routes: expected a list of routes, got a mapping: write \"- \" before route:, and indent the rest")
		return
	case len(entries) == 0:
		l.Problemf(v.Mark, "routes: it is empty: write routes: routes/*.yaml, or a list of routes")
	}
	for i, e := range entries {
		switch {
		case e.Kind == strict.Mapping:
			l.included(fmt.Sprintf("route-%d", i+1), e)
		case e.Kind == strict.Scalar && !e.Null:
			l.pattern(e)
		default:
			l.Problemf(e.Mark, "routes: expected a pattern such as routes/*.yaml, or a route, got %s", describe(e))
		}
	}
}

// describe returns the kind of a value for messages.
func describe(v *strict.Value) string {
	if v.Null {
		return "nothing"
	}
	return string(v.Kind)
}

// pattern loads the route files that a pattern matches, in the order of their names.
func (l *loader) pattern(v *strict.Value) {
	folder := filepath.Dir(l.file.Name)
	pattern, err := l.Expand(v.Text, "routes", folder)
	if err != nil {
		l.Problemf(v.Mark, "routes: %v", err)
		return
	}
	if strings.Contains(pattern, "**") { // filepath.Glob takes it for *, and would silently leave out files in nested folders
		l.Problemf(v.Mark, "routes: %s: ** isn't supported: write a pattern for each folder, as in [routes/*.yaml, routes/more/*.yaml]",
			check.Quote(v.Text))
		return
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(folder, pattern)
	}
	l.usesFolders(pattern)
	names, err := filepath.Glob(pattern)
	names = slices.DeleteFunc(names, func(n string) bool { // hidden files, as in a shell: of editors, and ..data of Kubernetes
		return strings.HasPrefix(filepath.Base(n), ".") && !strings.HasPrefix(filepath.Base(pattern), ".")
	})
	if err != nil || len(names) == 0 {
		l.Problemf(v.Mark, "routes: no file matches %s: the pattern is relative to this file's folder", check.Quote(v.Text))
	}
	for _, name := range names {
		l.routeFile(v, name)
	}
}

// usesFolders adds the folders of a pattern to Files, because a new file in them may match.
func (l *loader) usesFolders(pattern string) {
	for folder := filepath.Dir(pattern); ; folder = filepath.Dir(folder) {
		names, _ := filepath.Glob(folder)
		for _, name := range names {
			l.Uses(name)
		}
		if !strings.ContainsAny(folder, `*?[\`) {
			l.Uses(folder) // it may not exist yet
			return
		}
	}
}

// routeFile loads a route file that a pattern matches, unless it is loaded already.
func (l *loader) routeFile(v *strict.Value, name string) {
	if sameFile(name, l.file.Name) {
		l.Problemf(v.Mark,
			"routes: the pattern matches this file itself: put the route files into a folder of their own, as in routes/*.yaml")
		return
	}
	if l.seen[name] {
		return
	}
	l.seen[name] = true
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // a pipe would block
		l.Problemf(v.Mark, "routes: %s isn't a regular file: match files, as in routes/*.yaml", check.Quote(name))
		return
	}
	if root := l.Read(name); root != nil {
		l.included(baseName(name), root)
	}
}

// sameFile reports whether two names are one file.
func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	second, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(first, second)
}

// baseName returns the name of a file without folder and extension.
func baseName(name string) string { return strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)) }

// included decodes a route of routes. It reports keys of the process, which belong into the process file.
func (l *loader) included(name string, root *strict.Value) {
	p := split(root)
	if p.routes != nil {
		p.rest.Put(*p.routes)
	}
	known := strict.ShapeFor[File]()
	for _, k := range p.rest.Pairs {
		switch {
		case known.ByName[k.Key] != nil || k.Key == "routes":
			l.Problemf(k.Mark, "%s: it belongs to the process: write it into %s, beside routes:", k.Key, l.file.Name)
		default:
			l.Problemf(k.Mark, "unknown key %s%s", k.Key, hint("file", k.Key, []string{"route", "oidc", "mcp", "rules"}))
		}
	}
	if p.route == nil {
		l.Problemf(root.Mark, "route is missing: write route: {upstream: http://host:port}")
		return
	}
	l.route(name, p)
}

// route decodes one route and adds it to the File.
func (l *loader) route(name string, p topLevel) {
	b := strict.NewBlock(l.Report, p.route.Mark)
	r := Route{Name: name, Place: p.route.Mark.String(), block: b}
	if p.route.Value.Kind != strict.Mapping {
		l.Problemf(p.route.Mark, "route: expected a mapping, got %s: write route: {upstream: http://host:port}", describe(p.route.Value))
		b.Entries["upstream"] = &strict.Entry{Mark: p.route.Mark, Bad: true}
	} else {
		b.Decode("route", p.route.Value, &r.Route)
	}
	l.mcpRoute(&r, p.mcp)
	own, oidc := l.mapping("oidc", p.oidc), l.oidc
	if own != nil {
		oidc = merge(l.oidc, flatten(l.Report, own))
		b.Entries["oidc"] = &strict.Entry{Mark: p.oidc.Mark, Set: true}
	}
	issuer := oidc.Get("issuer")
	r.HasOIDC = own != nil || issuer != nil && !issuer.Value.Null
	if own == nil && p.oidc != nil && !p.oidc.Value.Null { // reported by mapping, so its keys aren't reported as missing
		r.HasOIDC = true
		b.Entries["issuer"], b.Entries["client_id"] = &strict.Entry{Bad: true}, &strict.Entry{Bad: true}
	}
	oidc, entries := l.takeIssuers(b, oidc)
	b.Decode("oidc", oidc, &r.OIDC)
	applyMCP(b, r.MCP, &r.OIDC)
	applyProfile(b, &r.OIDC)
	for _, v := range entries {
		r.Issuers = append(r.Issuers, l.issuer(b, &r, oidc, v))
	}
	r.HasOIDC = r.HasOIDC || len(r.Issuers) > 0
	r.Rules = l.rules(p.rules)
	l.file.Routes = append(l.file.Routes, r)
}

// rules decodes the value of rules.
func (l *loader) rules(p *strict.Pair) (rules []Rule) {
	if p == nil || p.Value.Null {
		return nil
	}
	if p.Value.Kind != strict.List {
		l.Problemf(p.Mark, "rules: expected a list of rules, got %s: write \"- \" before each rule", p.Value.Kind)
		return nil
	}
	for _, v := range p.Value.Items {
		if v.Kind != strict.Mapping {
			l.Problemf(v.Mark, "rules: expected a mapping such as paths: and auth:, got %s", describe(v))
			continue
		}
		r := Rule{Place: v.Mark.String(), block: strict.NewBlock(l.Report, v.Mark)}
		r.block.Decode("rules", v, &r)
		rules = append(rules, r)
	}
	return rules
}
