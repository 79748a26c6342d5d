package config

import (
	"strings"

	"sallyport/internal/strict"
)

// OIDCShape returns the keys of an oidc block, for importers.
func OIDCShape() *strict.Shape { return oidcShape }

// ObjectShape returns the keys of a parameter that is a mapping or a list of mappings, or nil for any other.
func ObjectShape(f *strict.Field) *strict.Shape {
	if t, isStruct := strict.Structure(strict.Element(f.Type)); isStruct {
		return strict.ShapeOf(t)
	}
	return nil
}

// Refuses returns the problem with a parameter of Kong's plugin that the gate refuses by its name. It returns "" if the gate has the
// parameter, or if its value is what the gate does anyway. The scope is oidc, or oidc.NAME for the members of an object.
func Refuses(scope string, p strict.Pair) (text string, known bool) {
	r := refusals[scope][p.Key]
	if r == nil || r.accepts(p.Value) {
		return "", r != nil
	}
	return r.text(p.Key), true
}

// Renamed returns the present name of a parameter that Kong has renamed, or "".
func Renamed(name string) string { return renamedTo[name] }

var renamedTo = func() map[string]string {
	names := map[string]string{}
	for _, r := range renamed {
		if to, found := strings.CutPrefix(r.advice, "Kong renamed it: write "); found && oidcShape.ByName[to] != nil {
			names[r.names] = to
		}
	}
	return names
}()

// UnsupportedValue returns the problem with a value of a parameter of Kong's plugin that the gate doesn't have, or "".
func UnsupportedValue(name string, v *strict.Value) string {
	texts := []*strict.Value{v}
	if v.Kind == strict.List {
		texts = v.Items
	}
	for _, t := range texts {
		if text := unsupportedValue("oidc", name, t.Text); text != "" {
			return text
		}
	}
	return ""
}
