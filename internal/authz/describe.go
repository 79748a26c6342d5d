package authz

import (
	"fmt"
	"strings"
)

// Describe returns what the settings require of every identity, a line for each requirement.
func (s *Settings) Describe() (lines []string) {
	lines = s.RequiredSettings.describe()
	if len(s.ClaimsForbidden) > 0 {
		lines = append(lines, "none of the claims "+strings.Join(s.ClaimsForbidden, ", "))
	}
	if len(s.Domains) > 0 {
		lines = append(lines, "hd: "+strings.Join(s.Domains, ", or "))
	}
	return lines
}

// Describe returns the groups that the list allows and denies.
func (a *ACLSettings) Describe() (lines []string) {
	if len(a.Allow) > 0 {
		lines = append(lines, "one of the groups "+strings.Join(a.Allow, ", "))
	}
	if len(a.Deny) > 0 {
		lines = append(lines, "none of the groups "+strings.Join(a.Deny, ", "))
	}
	return lines
}

// Describe returns what the rule requires in addition to its route.
func (r *RuleSettings) Describe() (lines []string) {
	lines = r.RequiredSettings.describe()
	if r.Allow != "" {
		lines = append(lines, "allow: "+strings.TrimSpace(r.Allow))
	}
	if len(r.ACRValues) > 0 {
		lines = append(lines, "acr: "+strings.Join(r.ACRValues, ", or "))
	}
	if r.MaxAge != nil {
		lines = append(lines, fmt.Sprintf("a login at most %v ago", *r.MaxAge))
	}
	return lines
}

// DescribeMatch returns which requests have the rule; nothing if all have.
func (r *RuleSettings) DescribeMatch() (lines []string) {
	add := func(name string, values []string) {
		if len(values) > 0 {
			lines = append(lines, name+" "+strings.Join(values, ", "))
		}
	}
	add("hosts", r.Hosts)
	add("paths", r.Paths)
	add("methods", r.Methods)
	add("tools", r.MCPTools)
	return lines
}

func (r *RequiredSettings) describe() (lines []string) {
	for _, p := range pairs(*r) {
		lines = append(lines, p.name()+": "+p.wanted())
	}
	return lines
}
