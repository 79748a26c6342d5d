package dpop

import (
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// ErrorUseNonce is the error code of a server that requires another nonce in the proof (RFC 9449 §8, §9).
const ErrorUseNonce = "use_dpop_nonce"

// AsksNonce reports whether a response has a DPoP challenge with ErrorUseNonce (RFC 9449 §9).
func AsksNonce(response http.Header) bool {
	return slices.ContainsFunc(parseChallenges(response["Www-Authenticate"]), func(c challenge) bool {
		return c.isDPoP() && slices.ContainsFunc(c.params, isUseNonce)
	})
}

// WithoutDPoP returns the lines of WWW-Authenticate without their DPoP challenges, with one challenge in each line.
func WithoutDPoP(lines []string) (rest []string) {
	for _, c := range parseChallenges(lines) {
		if !c.isDPoP() {
			rest = append(rest, strings.TrimSpace(c.scheme+" "+strings.Join(c.params, ", ")))
		}
	}
	return rest
}

// A challenge is a challenge of WWW-Authenticate (RFC 9110 §11.6.1).
type challenge struct {
	scheme string
	params []string // name=value as it is written, or one token68
}

func (c *challenge) isDPoP() bool { return strings.EqualFold(c.scheme, "DPoP") }

// isUseNonce reports whether a parameter of a challenge is error="use_dpop_nonce".
func isUseNonce(param string) bool {
	name, value, _ := strings.Cut(param, "=")
	return strings.EqualFold(strings.TrimSpace(name), "error") && strings.Trim(value, " \t\"") == ErrorUseNonce
}

// parseChallenges returns the challenges in lines of WWW-Authenticate. An element of its list begins with a scheme, or is a parameter of
// the challenge before.
func parseChallenges(lines []string) (all []challenge) {
	for _, line := range lines {
		elements, _ := auth.SplitQuoted(line, ',')
		for _, element := range elements {
			if element = strings.Trim(element, " \t"); element == "" {
				continue
			}
			if scheme, param, begins := cutScheme(element); begins || len(all) == 0 {
				all = append(all, challenge{scheme: scheme})
				element = param
			}
			if last := &all[len(all)-1]; element != "" {
				last.params = append(last.params, element)
			}
		}
	}
	return all
}

// cutScheme splits an element into its scheme and the parameter behind it. begins is false if the element is a parameter alone.
func cutScheme(element string) (scheme, param string, begins bool) {
	end := strings.IndexAny(element, " \t=")
	if end < 0 {
		return element, "", true
	}
	scheme, param = element[:end], strings.Trim(element[end:], " \t")
	return scheme, param, !strings.HasPrefix(param, "=")
}
