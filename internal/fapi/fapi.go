// Package fapi has the security profiles of the OpenID Foundation's FAPI working group: FAPI 1.0 Advanced, FAPI 2.0 Security Profile, and
// FAPI 2.0 Message Signing. A profile is a list of requirements, each for one setting of an oidc: block.
package fapi

import "slices"

// The names of the profiles.
const (
	Advanced1 = "fapi1-advanced"        // FAPI 1.0 Part 2: Advanced
	Security2 = "fapi2-security"        // FAPI 2.0 Security Profile
	Signing2  = "fapi2-message-signing" // FAPI 2.0 Message Signing, which includes Security2
)

// Settings choose the profile of an oidc: block.
type Settings struct {
	Profile string `yaml:"profile" enum:"fapi1-advanced,fapi2-security,fapi2-message-signing"` // empty: none
	// MessageSigning lists the parts of FAPI 2.0 Message Signing that are in force, each of which can be certified alone.
	MessageSigning []string `yaml:"profile_message_signing" default:"[request,response,introspection]" min:"1"`
}

// Enums returns the values that the settings take, by key.
func (Settings) Enums() map[string][]string {
	return map[string][]string{"profile_message_signing": {"request", "response", "introspection"}}
}

// A Requirement is what a profile requires of one setting.
type Requirement struct {
	Key     string
	Default string // the value, as YAML, that the setting gets where it isn't written; empty: the setting's own default

	// Allowed are the values that the profile allows; of a list, for each element. A boolean is "true" or "false", a duration has the form
	// of time.Duration, and "" is a value that is empty.
	Allowed []string
	// Refused are values that the profile doesn't allow. It replaces Allowed.
	Refused []string

	Clause string // of the standard, for messages
	Logins bool   // the requirement is about logins, and has no meaning for a route without them
	Client bool   // likewise about requests in which the gate's client authenticates
}

// Allows reports whether a setting may have a value, or a list the element.
func (r *Requirement) Allows(value string) bool {
	if r.Allowed == nil {
		return !slices.Contains(r.Refused, value)
	}
	return slices.Contains(r.Allowed, value)
}

// isVersion2 reports whether a profile is one of FAPI 2.0.
func isVersion2(profile string) bool { return profile == Security2 || profile == Signing2 }

// Algorithms returns the algorithms of signatures that a profile allows.
func Algorithms(profile string) []string {
	if isVersion2(profile) {
		return []string{"PS256", "ES256", "EdDSA", "Ed25519"}
	}
	return []string{"PS256", "ES256"}
}

// Requirements returns what the profile requires; nil without a profile.
func (s *Settings) Requirements() []Requirement {
	var all []Requirement
	switch {
	case s.Profile == "":
		return nil
	case isVersion2(s.Profile):
		all = slices.Concat(common(s.Profile, security2Clauses), security2)
	default:
		all = slices.Concat(common(s.Profile, advanced1Clauses), advanced1)
	}
	if s.Profile == Signing2 {
		for _, part := range s.MessageSigning {
			all = append(all, messageSigning[part]...)
		}
	}
	return all
}
