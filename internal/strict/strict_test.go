package strict

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

// A toy has fields of the kinds that a configuration has.
type toy struct {
	Name   string        `yaml:"name" default:"bear"`
	Color  string        `yaml:"color" enum:"red,blue"`
	Size   int           `yaml:"size" default:"3" min:"2" max:"9"`
	Nap    time.Duration `yaml:"nap" default:"500" unit:"ms"`
	Sounds []sound       `yaml:"sounds"`
	Lid    lid           `yaml:"lid"`
	Box    box           `yaml:",inline" prefix:"box_"`
}

type lid struct {
	Kind string `yaml:"kind" scalar:"true"`
}

type box struct {
	Width int `yaml:"width" default:"1"`
}

type sound string

func (sound) Choices(key string) (values, defaults []string) {
	return []string{"low", "of " + key}, []string{"low"}
}

// decode decodes a text, and returns the toy and the problems, one a line.
func decode(hints *Hints, text string) (out toy, problems string) {
	r := &Report{Hints: hints}
	if root := r.Parse("toy.yaml", []byte(text)); root != nil {
		NewBlock(r, root.Mark).Decode("toy", root, &out)
	}
	if err := r.Err(); err != nil {
		problems = err.Error()
	}
	return out, problems
}

func TestDecode(t *testing.T) {
	t.Setenv("TOY", "b${env:TOY}")
	for text, want := range map[string]func(*toy){
		"color: red":                     func(o *toy) { o.Color = "red" },
		"{name: dog, size: 9}":           func(o *toy) { o.Name, o.Size = "dog", 9 },
		"size: 2":                        func(o *toy) { o.Size = 2 },
		"{name: null, size: }":           func(*toy) {},
		"name: a-${env:TOY}-$${x}":       func(o *toy) { o.Name = "a-b${env:TOY}-${x}" },
		"nap: 20":                        func(o *toy) { o.Nap = 20 * time.Millisecond },
		"nap: 1m30s":                     func(o *toy) { o.Nap = 90 * time.Second },
		"sounds: [of sounds, low]":       func(o *toy) { o.Sounds = []sound{"of sounds", "low"} },
		"sounds: of sounds":              func(o *toy) { o.Sounds = []sound{"of sounds"} },
		"lid: flat":                      func(o *toy) { o.Lid.Kind = "flat" },
		"lid: {kind: flat}":              func(o *toy) { o.Lid.Kind = "flat" },
		"{box_width: 7, name: \"8\"}":    func(o *toy) { o.Box.Width, o.Name = 7, "8" },
		"# a comment\nname: |\n  bear\n": func(*toy) {},
		"{name: ${env:TOY}}":             nil,
		"{color: red, name: \"${env:\"}": nil,
	} {
		got, problems := decode(nil, text)
		if want == nil {
			if problems == "" {
				t.Errorf("%s: it was accepted", text)
			}
			continue
		}
		wanted := toy{Name: "bear", Size: 3, Nap: 500 * time.Millisecond, Sounds: []sound{"low"}, Box: box{1}}
		want(&wanted)
		if problems != "" || !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s: got %+v and %q, want %+v", text, got, problems, wanted)
		}
	}
}

func TestProblems(t *testing.T) {
	for text, want := range map[string]string{
		"color: green":           `toy.yaml:1: color: expected one of red, blue, got "green"`,
		"name: bear\nsize: 1":    "toy.yaml:2: size: it is too small: write 2 or more",
		"name: bear\nsize: 10":   "toy.yaml:2: size: it is too large: write 9 or less",
		"size: big":              `toy.yaml:1: size: expected a whole number, got "big"`,
		"name: bear\n\nnaem: x":  "toy.yaml:3: unknown key naem",
		"lid:\n  form: x":        "toy.yaml:2: unknown key lid.form",
		"width: 7":               "toy.yaml:1: unknown key width",
		"size: 4\nsize: 5":       "toy.yaml:2: size is written twice, first on line 1: keep one of them",
		"sounds: [low, of]":      `toy.yaml:1: sounds: expected one of low, of sounds, got "of"`,
		"lid: [flat, round]":     "toy.yaml:1: lid: expected one value, got a list",
		"name: ${env:TOY_UNSET}": "toy.yaml:1: name: the environment variable TOY_UNSET isn't set: set it before the start",
		"size: 1\ncolor: x\na: b": "toy.yaml:1: size: it is too small: write 2 or more\n" +
			"toy.yaml:2: color: expected one of red, blue, got \"x\"\ntoy.yaml:3: unknown key a",
	} {
		if _, got := decode(nil, text); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
	if got, _ := decode(nil, "size: 4\nsize: 5"); got.Size != 4 {
		t.Errorf("a key that is written twice has the value %d, want the first", got.Size)
	}
}

func TestHints(t *testing.T) {
	hints := &Hints{
		Unknown: func(scope, path string, p Pair, s *Shape) string {
			if p.Key == "old" {
				return ""
			}
			return fmt.Sprintf("%s has no %s: write %s", scope, path, s.Fields[0].Name)
		},
		Value: func(scope, key, text string) string {
			if text != "blue" {
				return ""
			}
			return scope + " has no " + key + " " + text + " today"
		},
		OneOnly: map[string]string{"lid": ": write one lid"},
	}
	for text, want := range map[string]string{
		"old: 1":                     "",
		"color: red":                 "",
		"new: 1":                     "toy.yaml:1: toy has no new: write name",
		"lid: {form: round, old: 1}": "toy.yaml:1: toy.lid has no lid.form: write kind",
		"color: blue":                "toy.yaml:1: color: toy has no color blue today",
		"lid: [flat, round]":         "toy.yaml:1: lid: expected one value, got a list: write one lid",
	} {
		if _, got := decode(hints, text); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}
