package importer

import (
	"encoding/csv"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/strict"
)

// Ranks of the sources of an option, as oauth2-proxy orders them. The alpha configuration takes options out of the others.
const (
	o2pFile = iota + 1
	o2pEnvironment
	o2pFlag
	o2pAlpha
)

// An o2pSetting is the value of an option.
type o2pSetting struct {
	values   []word
	variable string // the environment variable that has the value, instead of values
	rank     int
	place    strict.Mark
	used     bool
}

// o2pOptions has the options by their name in the configuration file.
type o2pOptions struct {
	settings map[string]*o2pSetting
	unknown  map[string]strict.Mark
}

func newO2POptions() *o2pOptions {
	return &o2pOptions{settings: map[string]*o2pSetting{}, unknown: map[string]strict.Mark{}}
}

// set sets an option, unless a source of a higher rank has set it. A repeated flag adds to a list.
func (o *o2pOptions) set(name string, s o2pSetting) {
	option := o2pNames[name]
	if option == nil {
		o.unknown[name] = s.place
		return
	}
	s.values = option.split(s.values, s.rank)
	before := o.settings[option.name]
	switch {
	case before != nil && before.rank > s.rank:
		return
	case before != nil && before.rank == s.rank && option.list && s.variable == "":
		s.values = append(slices.Clone(before.values), s.values...)
		s.place = before.place
	}
	o.settings[option.name] = &s
}

// get returns an option and marks it as used, or returns nil.
func (o *o2pOptions) get(name string) *o2pSetting {
	if o2pNames[name] == nil {
		panic("importer: oauth2-proxy has no option " + name)
	}
	s := o.settings[name]
	if s != nil {
		s.used = true
	}
	return s
}

// place returns the place of an option, or that of the first one that is set.
func (o *o2pOptions) place(names ...string) strict.Mark {
	for _, name := range names {
		if s := o.settings[name]; s != nil {
			return s.place
		}
	}
	return strict.Mark{File: "oauth2-proxy"}
}

// list returns the values of an option without empty ones.
func (o *o2pOptions) list(name string) (texts []string) {
	for _, v := range o.words(name) {
		texts = append(texts, v.text)
	}
	return texts
}

// words returns the values of an option with their places, without empty ones.
func (o *o2pOptions) words(name string) []word {
	s := o.get(name)
	if s == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.values), func(v word) bool { return v.text == "" })
}

// text returns the value of an option, or "".
func (o *o2pOptions) text(name string) string {
	s := o.get(name)
	if s == nil || len(s.values) == 0 {
		return ""
	}
	return s.values[len(s.values)-1].text
}

// textOr returns the value of an option, or another text.
func (o *o2pOptions) textOr(name, other string) string {
	if text := o.text(name); text != "" {
		return text
	}
	return other
}

// on returns the value of a switch, or its default.
func (o *o2pOptions) on(name string, byDefault bool) bool {
	on, err := strconv.ParseBool(o.text(name))
	if err != nil {
		return byDefault
	}
	return on
}

// given reports whether an option has a value, and marks it as used.
func (o *o2pOptions) given(name string) bool {
	s := o.get(name)
	return s != nil && (s.variable != "" || slices.ContainsFunc(s.values, func(v word) bool { return v.text != "" }))
}

// split splits the values of a list at commas, as oauth2-proxy does in flags and variables.
func (o *o2pOption) split(values []word, rank int) []word {
	if !o.list || rank != o2pFlag && rank != o2pEnvironment {
		return values
	}
	var all []word
	for _, v := range values {
		fields, err := csv.NewReader(strings.NewReader(v.text)).Read()
		if err != nil {
			fields = []string{v.text}
		}
		for _, f := range fields {
			all = append(all, word{strings.TrimSpace(f), v.place})
		}
	}
	return all
}
