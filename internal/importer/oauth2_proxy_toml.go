package importer

import (
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"

	"sallyport/internal/strict"
)

// readTOML reads the configuration file of oauth2-proxy. It has no tables: each line is a key and a value, or a list of values.
func (d *o2pDeployment) readTOML(s Source) error {
	p := &unstable.Parser{}
	p.Reset(s.Data)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind == unstable.Comment {
			continue
		}
		place := tomlPlace(p, s, e)
		if e.Kind != unstable.KeyValue {
			return fmt.Errorf("%s: a table: expected NAME = VALUE, as in the configuration file of oauth2-proxy", place)
		}
		name, values, err := tomlPair(p, s, e)
		if err != nil {
			return fmt.Errorf("%s: %w", place, err)
		}
		d.set(name, o2pSetting{values: values, rank: o2pFile, place: place})
	}
	if err := p.Error(); err != nil {
		return fmt.Errorf("%s: %w", tomlErrorPlace(p, s, err), err)
	}
	return nil
}

// tomlPlace returns the place of a key and its value.
func tomlPlace(p *unstable.Parser, s Source, e *unstable.Node) strict.Mark {
	if key := e.Key(); key.Next() {
		return strict.Mark{File: s.Name, Line: p.Shape(key.Node().Raw).Start.Line}
	}
	return strict.Mark{File: s.Name}
}

// tomlErrorPlace returns the place of a mistake.
func tomlErrorPlace(p *unstable.Parser, s Source, err error) strict.Mark {
	at := strict.Mark{File: s.Name}
	if wrong, ok := err.(*unstable.ParserError); ok && len(wrong.Highlight) > 0 {
		at.Line = p.Shape(p.Range(wrong.Highlight)).Start.Line
	}
	return at
}

// tomlPair returns a key and its values. Values are strings, numbers, booleans, or a list of them.
func tomlPair(p *unstable.Parser, s Source, e *unstable.Node) (name string, values []word, err error) {
	for key := e.Key(); key.Next(); {
		if name != "" {
			name += "."
		}
		name += string(key.Node().Data)
	}
	v := e.Value()
	if v.Kind != unstable.Array {
		text, err := tomlScalar(name, v)
		return name, []word{{text, tomlPlace(p, s, e)}}, err
	}
	for items := v.Children(); items.Next() && err == nil; {
		if item := items.Node(); item.Kind != unstable.Comment {
			var text string
			text, err = tomlScalar(name, item)
			values = append(values, word{text, strict.Mark{File: s.Name, Line: p.Shape(item.Raw).Start.Line}})
		}
	}
	return name, values, err
}

// tomlScalar returns a single value.
func tomlScalar(name string, v *unstable.Node) (string, error) {
	switch v.Kind {
	case unstable.String, unstable.Bool, unstable.Integer, unstable.Float:
		return string(v.Data), nil
	}
	return "", fmt.Errorf("%s is a %s: expected a string, a number, true, false, or a list of these", name, v.Kind)
}
