package importer

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// An apacheHost is a virtual host, or the server without one.
type apacheHost struct {
	*apacheServer
	node       *apacheNode
	addresses  []string
	names      []string
	root       string // DocumentRoot
	aliases    [][2]string
	proxies    []apacheProxy
	sections   []*apacheSection
	exclusions []apacheExclusion
	settings   map[string]*apacheNode
	headers    []*apacheNode // RequestHeader
	claims     []string      // names of claims that Require names
	preserve   bool
	unknown    bool // files are included that aren't known
	oidc       *Mapping
}

// An apacheExclusion is an expression that requests must satisfy whose path begins with a text.
type apacheExclusion struct{ text, allow string }

// authDirectives are the directives that say who may pass.
var authDirectives = []string{
	"AuthType", "Require", "RequireAll", "RequireAny", "RequireNone", "Order", "Allow", "Deny", "Satisfy", "OIDCUnAuthAction",
}

// judges reports whether a directive or something in it says who may pass.
func judges(n *apacheNode) bool {
	if n.is(authDirectives...) || n.name == closedMark || n.name == unknownMark {
		return true
	}
	for _, child := range n.children {
		if judges(child) {
			return true
		}
	}
	return false
}

// onlyOpens reports whether the directives of a section only open: Require all granted.
func onlyOpens(nodes []*apacheNode) bool {
	for _, n := range nodes {
		switch {
		case n.is("Require") && len(n.args) == 2 && strings.EqualFold(n.args[0], "all") && strings.EqualFold(n.args[1], "granted"):
		case judges(n):
			return false
		}
	}
	return true
}

// addSection adds a section to the host. Those for files of a folder count only if the host serves files itself.
func (h *apacheHost) addSection(n *apacheNode) {
	nodes := h.plain(n.children, n)
	for _, child := range nodes {
		if kind := child.arg(0); child.is("AuthType") && !isOIDC(kind) && !strings.EqualFold(kind, "none") {
			h.Notef(child.place, "AuthType %s isn't one of this module, so <%s %s> is closed", kind, n.name, n.raw)
		}
	}
	arg := n.arg(0)
	switch {
	case n.is("Location") && arg == "~":
		h.addPattern(n, n.arg(1), nodes)
	case n.is("LocationMatch"):
		h.addPattern(n, arg, nodes)
	case n.is("Location") && strings.ContainsAny(arg, "*?["):
		h.addWild(n, arg, nodes)
	case n.is("Location"):
		h.addLocation(n, arg, nodes)
	case n.is("Proxy") && (arg == "*" || arg == ""):
		h.addLocation(n, "/", nodes)
	case n.is("Directory"):
		h.addDirectory(n, arg, nodes)
	case judges(n) && !onlyOpens(n.children):
		h.Notef(n.place, "<%s %s> restricts who may pass, and can't be imported: every path is closed", n.name, n.raw)
		h.close("/", n)
	case judges(n):
		h.Notef(n.place, "<%s %s> opens what stays closed here: write rules for it", n.name, n.raw)
	}
}

// closedMark is the name of a node that stands for something that restricts and can't be imported.
const closedMark = "closed"

// plain returns the directives of a section without conditions: modules are there, and what another condition restricts is closed.
func (h *apacheHost) plain(children []*apacheNode, around *apacheNode) (all []*apacheNode) {
	for _, n := range children {
		switch {
		case n.is("Limit", "LimitExcept"):
			h.Notef(n.place, "<%s %s>: what it requires is required for all methods", n.name, n.raw)
			all = append(all, restrictingNodes(n.children)...)
		case n.is("If", "ElseIf", "Else", "Files", "FilesMatch", "IfDefine", "IfVersion") && judges(n):
			if onlyOpens(n.children) {
				h.Notef(n.place, "<%s %s> opens what stays closed here", n.name, n.raw)
				continue
			}
			h.Notef(n.place, "<%s %s> restricts who may pass, and can't be imported: <%s %s> is closed", n.name, n.raw, around.name, around.raw)
			all = append(all, &apacheNode{name: closedMark, place: n.place})
		case n.is("Order", "Allow", "Deny", "Satisfy"):
			h.Notef(n.place, "%s %s: rules by address aren't imported: <%s %s> is closed", n.name, n.raw, around.name, around.raw)
			all = append(all, &apacheNode{name: closedMark, place: n.place})
		default:
			all = append(all, n)
		}
	}
	return all
}

// restrictingNodes returns the directives that don't open.
func restrictingNodes(nodes []*apacheNode) (all []*apacheNode) {
	for _, n := range nodes {
		if !onlyOpens([]*apacheNode{n}) {
			all = append(all, n)
		}
	}
	return all
}

// newSection returns the section of a path.
func newSection(n *apacheNode, path string, nodes []*apacheNode) *apacheSection {
	s := &apacheSection{path: path, nodes: nodes, place: n.place}
	for _, child := range nodes {
		s.closed = s.closed || child.name == closedMark || child.name == unknownMark
	}
	return s
}

// addLocation adds a section for a path and everything below it. One with a slash at its end means only what is below.
func (h *apacheHost) addLocation(n *apacheNode, text string, nodes []*apacheNode) {
	trimmed := "/" + strings.Trim(text, "/")
	if strings.Contains(text, "://") || !plainPath(trimmed) {
		h.unreadable(n, "/", nodes)
		return
	}
	s := newSection(n, trimmed, nodes)
	if trimmed != "/" && strings.HasSuffix(text, "/") {
		s.condition = "request.path.startsWith(" + celText(trimmed+"/") + ")"
	}
	h.sections = append(h.sections, s)
}

// addPattern adds a section for the paths of a regular expression. If it is more than a prefix, the paths that it matches are closed,
// unless the section only opens them.
func (h *apacheHost) addPattern(n *apacheNode, text string, nodes []*apacheNode) {
	p, err := readPattern(text)
	trimmed := strings.TrimSuffix(p.prefix, "/")
	switch {
	case err != nil:
		h.unreadable(n, "/", nodes)
	case p.kind == segmentPattern && plainPath(p.prefix):
		h.sections = append(h.sections, newSection(n, p.prefix, nodes))
	case p.kind == textPattern && p.prefix == "/":
		h.sections = append(h.sections, newSection(n, "/", nodes))
	case p.kind == textPattern && plainPath(trimmed) && trimmed != "":
		h.addText(n, p.prefix, trimmed, nodes)
	case p.kind == exactPattern && plainPath(p.prefix) && p.prefix != "/":
		s := newSection(n, p.prefix, nodes)
		s.condition = "request.path == " + celText(p.prefix)
		h.sections = append(h.sections, s)
	case judges(n) && onlyOpens(nodes):
		h.Notef(n.place, "<%s %s> opens paths that stay closed: its pattern is more than a prefix", n.name, n.raw)
	case judges(n):
		h.Notef(n.place, "<%s %s>: its pattern is more than a prefix, so the paths that it matches are closed", n.name, n.raw)
		h.exclusions = append(h.exclusions, apacheExclusion{p.prefix, "!request.path.matches(" + celText(text) + ")"})
	}
}

// addText adds a section for the paths that begin with a text: /a is /a, /a/b, and /ab, which is closed unless the section opens it.
func (h *apacheHost) addText(n *apacheNode, text, trimmed string, nodes []*apacheNode) {
	s := newSection(n, trimmed, nodes)
	if text != trimmed {
		s.condition = "request.path.startsWith(" + celText(text) + ")"
		h.sections = append(h.sections, s)
		return
	}
	h.sections = append(h.sections, s)
	if judges(n) && !onlyOpens(nodes) {
		h.Notef(n.place, "<%s %s> also matches %sx, which is closed now", n.name, n.raw, text)
		beyond := "^" + regexp.QuoteMeta(text) + "[^/]"
		h.exclusions = append(h.exclusions, apacheExclusion{text, "!request.path.matches(" + celText(beyond) + ")"})
	}
}

// addWild adds a section with wild cards, which is closed where it restricts.
func (h *apacheHost) addWild(n *apacheNode, text string, nodes []*apacheNode) {
	h.unreadable(n, coveringPath(text[:strings.IndexAny(text, "*?[")]), nodes)
}

// unreadable closes a path if a section that can't be read restricts it.
func (h *apacheHost) unreadable(n *apacheNode, path string, nodes []*apacheNode) {
	switch {
	case !judges(n):
	case onlyOpens(nodes):
		h.Notef(n.place, "<%s %s> opens paths that stay closed: its path can't be read", n.name, n.raw)
	default:
		h.Notef(n.place, "<%s %s>: its path can't be read, so %s and everything below it is closed", n.name, n.raw, path)
		h.close(path, n)
	}
}

// close closes a path and everything below it, whatever other sections say.
func (h *apacheHost) close(path string, n *apacheNode) {
	h.sections = append(h.sections, &apacheSection{path: path, closed: true, place: n.place})
}

// addDirectory adds a section for a folder, if the host serves files. Its paths are those below DocumentRoot and below each Alias.
func (h *apacheHost) addDirectory(n *apacheNode, folder string, nodes []*apacheNode) {
	if len(h.proxies) > 0 || folder == "~" || strings.ContainsAny(folder, "*?[") {
		if judges(n) && usesOIDC(n.children) {
			h.Notef(n.place, "<Directory %s> is about files, which the gate doesn't serve: it is left out", n.raw)
		}
		return
	}
	folder = path.Clean(folder)
	if h.root != "" && within(path.Clean(h.root), folder) {
		h.addFolder(n, "/", nodes)
	} else if rest, below := strings.CutPrefix(folder, path.Clean(h.root)+"/"); h.root != "" && below && plainPath("/"+rest) {
		h.addFolder(n, "/"+rest, nodes)
	}
	for _, alias := range h.aliases {
		if at := "/" + strings.Trim(alias[0], "/"); within(path.Clean(alias[1]), folder) && plainPath(at) {
			h.addFolder(n, at, nodes)
		}
	}
}

// addFolder adds the section of a folder. Folders are judged before paths, and shorter ones first.
func (h *apacheHost) addFolder(n *apacheNode, path string, nodes []*apacheNode) {
	s := newSection(n, path, nodes)
	s.folder = true
	i := slices.IndexFunc(h.sections, func(o *apacheSection) bool { return !o.folder || len(o.path) > len(path) })
	if i < 0 {
		i = len(h.sections)
	}
	h.sections = slices.Insert(h.sections, i, s)
}

// requiredClaims returns the names of the claims that Require directives name.
func requiredClaims(nodes []*apacheNode) (all []string) {
	for _, n := range nodes {
		if n.is("Require") {
			for i, spec := range n.args {
				if path, operator, _ := splitClaim(spec); i > 0 && operator != 0 && len(path) == 1 {
					all = append(all, path[0])
				}
			}
		}
		all = append(all, requiredClaims(n.children)...)
	}
	return all
}

// usesOIDC reports whether directives name mod_auth_openidc's authentication.
func usesOIDC(nodes []*apacheNode) bool {
	for _, n := range nodes {
		if n.is("AuthType") && isOIDC(n.arg(0)) || usesOIDC(n.children) {
			return true
		}
	}
	return false
}
