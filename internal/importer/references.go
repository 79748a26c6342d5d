package importer

import (
	"regexp"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/strict"
)

var (
	// deckEnv matches decK's reference to an environment variable: ${{ env "DECK_NAME" }}, also with a conversion.
	deckEnv = regexp.MustCompile(`\$\{\{-?\s*env\s+["']([A-Za-z_][A-Za-z0-9_]*)["']\s*(?:\|\s*to[A-Za-z0-9]+\s*)?-?\}\}`)
	// kongVault matches Kong's reference to a vault: {vault://NAME/PATH}.
	kongVault = regexp.MustCompile(`^\{vault://([^/{}]+)/([^{}]+)\}$`)

	plainScalar = regexp.MustCompile(`^(?:true|false|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)$`)
	notInName   = regexp.MustCompile(`[^A-Za-z0-9]+`)
)

// isReference reports whether a text refers to its value elsewhere.
func isReference(text string) bool { return deckEnv.MatchString(text) || kongVault.MatchString(text) }

// scalar returns a scalar for Set, with references as those of the gate. The sample is a value of the right form, for checks.
func (k *kong) scalar(v *strict.Value, sample string) any {
	switch {
	case v.Null:
		return nil
	case kongVault.MatchString(v.Text):
		return k.vaultReference(v, sample)
	case deckEnv.MatchString(v.Text):
		return k.deckReference(v.Text, sample)
	case plainScalar.MatchString(v.Text):
		return Plain(v.Text)
	}
	return v.Text
}

// identifier returns a scalar as a text, also if it is a number.
func (k *kong) identifier(v *strict.Value) any {
	if isReference(v.Text) {
		return k.scalar(v, "sample")
	}
	return v.Text
}

// deckReference replaces decK's references to variables in a text.
func (k *kong) deckReference(text, sample string) Raw {
	var out strings.Builder
	at := 0
	for _, m := range deckEnv.FindAllStringSubmatchIndex(text, -1) {
		if m[0] > 0 || m[1] < len(text) { // the variable is a part of the value
			sample = "sample"
		}
		out.WriteString(strings.ReplaceAll(text[at:m[0]], "${", "$${"))
		out.WriteString(string(k.AddVariable(Variable{Name: text[m[2]:m[3]], Sample: sample})))
		at = m[1]
	}
	out.WriteString(strings.ReplaceAll(text[at:], "${", "$${"))
	return Raw(out.String())
}

// vaultReference replaces a reference to a vault by one to a variable. For the vault of environment variables it is the same variable.
func (k *kong) vaultReference(v *strict.Value, sample string) Raw {
	m := kongVault.FindStringSubmatch(v.Text)
	path, _, _ := strings.Cut(m[2], "?")
	if prefix, isEnv := k.envVaults[m[1]]; isEnv && !strings.Contains(path, "/") {
		return k.AddVariable(Variable{Name: variableName(prefix + path), Sample: sample})
	}
	name := variableName(m[1] + "_" + path)
	k.Notef(v.Mark, "%s is in a vault, which the gate doesn't read: let something set %s, or write ${file:/path} in its place", v.Text, name)
	return k.AddVariable(Variable{Name: name, Sample: sample})
}

// secret returns a reference in place of a secret that is written in the source. A reference stays one.
func (k *kong) secret(v *strict.Value, name string) any {
	if v.Null {
		return nil
	}
	if isReference(v.Text) {
		return k.scalar(v, sampleSecret)
	}
	ref := k.AddVariable(Variable{Name: name, Value: auth.Secret(v.Text)})
	k.Notef(v.Mark, "the secret isn't written into the configuration: set %s to it", strings.Trim(string(ref), "${}")[len("env:"):])
	return ref
}

// sampleSecret is a secret that is long enough for each setting.
const sampleSecret = "a-sample-for-the-check-of-a-configuration-with-48-bytes"

// variableName returns a text as the name of an environment variable.
func variableName(text string) string {
	name := strings.ToUpper(strings.Trim(notInName.ReplaceAllString(text, "_"), "_"))
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "KONG_" + name
	}
	return name
}
