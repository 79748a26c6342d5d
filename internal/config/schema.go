package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/mcp"
	"sallyport/internal/proxy"
	"sallyport/internal/strict"
)

// A schema is a JSON Schema, or a part of one.
type schema map[string]any

// Schema returns the JSON Schema (2020-12) of process files and route files, for editors and for checks before a deployment. It is derived
// from the structs, so it has every key and its type, but not the checks of Load.
func Schema() ([]byte, error) {
	root := object(strict.ShapeFor[File](), "")
	properties := root["properties"].(schema)
	properties["route"] = object(strict.ShapeFor[proxy.RouteSettings](), "route")
	properties["rules"] = listOf(object(strict.ShapeFor[Rule](), "rules"))
	properties["oidc"] = ref("#/$defs/oidc")
	properties["mcp"] = nullable(object(strict.ShapeFor[mcp.Settings](), "mcp"))
	properties["routes"] = anyOf(schema{"type": "string"}, schema{
		"type": "array", "minItems": 1, "items": anyOf(schema{"type": "string"}, ref("#/$defs/route")),
	})
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Sallyport: a process file, or a file for one route"
	root["not"] = schema{"required": []string{"route", "routes"}}
	root["$defs"] = schema{
		"parameters": parameters(),
		"oidc": nullable(schema{
			"$ref": "#/$defs/parameters", "properties": schema{issuersKey: issuerList()}, "unevaluatedProperties": false,
		}),
		"route": schema{"type": "object", "required": []string{"route"}, "additionalProperties": false, "properties": schema{
			"route": ref("#/properties/route"), "oidc": ref("#/$defs/oidc"),
			"rules": ref("#/properties/rules"), "mcp": ref("#/properties/mcp"),
		}},
		"text":      schema{"type": []string{"string", "number", "boolean"}}, // YAML reads 123 as a number
		"boolean":   anyOf(schema{"type": "boolean"}, variableOrFile),
		"reference": schema{"type": "string", "pattern": `\$\{(env|file):|^\{vault://env/`},
		"time": anyOf(
			schema{"type": "number", "minimum": 0}, schema{"type": "string", "pattern": `^[0-9.]+([a-zµ]+[0-9.]*)*$`}, variableOrFile,
		),
	}
	return json.MarshalIndent(root, "", "  ")
}

// anyOf returns the schema of a value of one of several schemas.
func anyOf(all ...schema) schema { return schema{"anyOf": all} }

// ref returns a reference to a schema.
func ref(to string) schema { return schema{"$ref": to} }

// variableOrFile is the schema of a text with a ${...}, whose value can have any type.
var variableOrFile = ref("#/$defs/reference")

// parameters returns the schema of an oidc block without issuers: each parameter with its full name, and in nested mappings.
func parameters() schema {
	out := object(oidcShape, "oidc")
	delete(out, "additionalProperties")
	properties := out["properties"].(schema)
	flat := maps.Clone(properties)
	for _, name := range slices.Sorted(maps.Keys(flat)) {
		for i := range name {
			if name[i] == '_' {
				nest(properties, flat, name[:i])
			}
		}
	}
	return out
}

// issuerList returns the schema of issuers, which an oidc block of a route has, but not an entry of issuers.
func issuerList() schema {
	entry := object(entryShape, "")
	delete(entry, "additionalProperties")
	entry["$ref"], entry["unevaluatedProperties"] = "#/$defs/parameters", false
	return listOf(entry)
}

// nest adds the schema of the optional nested mapping with the parameters whose names begin with prefix.
func nest(properties, flat schema, prefix string) {
	if isObject(prefix) {
		return
	}
	members := schema{}
	for name := range flat {
		if rest, ok := strings.CutPrefix(name, prefix+"_"); ok {
			members[rest] = ref("#/$defs/parameters/properties/" + name)
		}
	}
	mapping := schema{"type": "object", "additionalProperties": false, "properties": members}
	if own, ok := flat[prefix]; ok {
		properties[prefix] = schema{"anyOf": []any{own, mapping}}
		return
	}
	properties[prefix] = mapping
}

// object returns the schema of a mapping with the keys of a struct, and with the refused keys of the scope.
func object(s *strict.Shape, scope string) schema {
	properties, required := schema{}, []string{}
	for _, f := range s.Fields {
		properties[f.Name] = schemaOf(f, strings.TrimPrefix(scope+"."+f.Name, "."))
		if f.Required {
			required = append(required, f.Name)
		}
	}
	for name, r := range refusals[scope] {
		properties[name] = r.schema()
	}
	out := schema{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// schema returns the schema of a refused key, with the values that it accepts.
func (r *refusal) schema() schema {
	accepted := []schema{{"type": "null"}}
	for text := range strings.SplitSeq(r.accept, "|") {
		if text == "" {
			continue
		}
		v := strict.Literal(text)
		if v.Kind != strict.Mapping {
			accepted = append(accepted, schema{"const": plainValue(v)})
			continue
		}
		properties, names := schema{}, []string{}
		for _, p := range v.Pairs {
			properties[p.Key], names = schema{"const": plainValue(p.Value)}, append(names, p.Key)
		}
		accepted = append(accepted, schema{"type": "object", "properties": properties, "required": names})
	}
	return schema{"anyOf": accepted, "deprecated": true}
}

// plainValue returns a value for JSON.
func plainValue(v *strict.Value) any {
	if v.Kind == strict.List {
		all := []any{}
		for _, item := range v.Items {
			all = append(all, plainValue(item))
		}
		return all
	}
	var plain any
	if json.Unmarshal([]byte(v.Text), &plain) != nil {
		plain = v.Text
	}
	return plain
}

// schemaOf returns the schema of a key. Null stands for the default, except for a required key.
func schemaOf(f *strict.Field, scope string) schema {
	out := typeSchema(f, f.Type, scope)
	if f.Default != nil {
		out = maps.Clone(out)
		out["default"] = plainValue(f.Default)
	}
	if f.Required {
		return out
	}
	return nullable(out)
}

// typeSchema returns the schema of a value of a type.
func typeSchema(f *strict.Field, t reflect.Type, scope string) schema {
	inner, isStruct := strict.Structure(t)
	switch {
	case t.Kind() == reflect.Pointer:
		return typeSchema(f, t.Elem(), scope)
	case isStruct:
		s := strict.ShapeOf(inner)
		if s.Scalar == nil {
			return object(s, scope)
		}
		return anyOf(typeSchema(s.Scalar, s.Scalar.Type, scope), object(s, scope))
	case t.Kind() == reflect.Slice && !reflect.PointerTo(t).Implements(strict.TextType):
		many := schema{"type": "array", "items": typeSchema(f, t.Elem(), scope)}
		if n := strict.Atoi(f.Min); n > 0 {
			many["minItems"] = n
		}
		if f.IsObject() && !strict.HasScalarForm(t.Elem()) {
			return many
		}
		return anyOf(typeSchema(f, t.Elem(), scope), many)
	case t.Kind() == reflect.Map:
		return schema{"type": "object", "additionalProperties": ref("#/$defs/text")}
	}
	return singleSchema(f, t)
}

// singleSchema returns the schema of a single value.
func singleSchema(f *strict.Field, t reflect.Type) schema {
	switch {
	case f.Enum != nil:
		return anyOf(schema{"enum": f.Enum}, variableOrFile)
	case t == strict.DurationType:
		return ref("#/$defs/time")
	case t.Kind() == reflect.Bool:
		return ref("#/$defs/boolean")
	case t.Kind() == reflect.Int:
		number := schema{"type": "integer"}
		for name, text := range map[string]string{"minimum": f.Min, "maximum": f.Max} {
			if n, err := strconv.Atoi(text); err == nil {
				number[name] = n
			}
		}
		return anyOf(number, variableOrFile)
	}
	return ref("#/$defs/text")
}

// nullable returns a schema that also accepts null.
func nullable(s schema) schema {
	return anyOf(s, schema{"type": "null"})
}

// listOf returns the schema of an optional list.
func listOf(s schema) schema { return nullable(schema{"type": "array", "items": s}) }
