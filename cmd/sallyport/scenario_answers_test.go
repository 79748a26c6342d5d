package main

import (
	"strings"
	"sync"

	"sallyport/internal/provider"
)

// issuerSays implements the subcommands of issuer that change keys and responses.
func (s *scene) issuerSays(args []string) {
	p := s.provider
	switch args[0] {
	case "replace":
		p.ReplaceKeys()
	case "rotate-signing":
		once := sync.OnceFunc(func() { p.RotateKeys(true) })
		p.AdjustIDToken(func(map[string]any) { once() })
	case "keys":
		change := members(args[1:])
		p.AdjustAnswer(provider.JWKS, func(set map[string]any) {
			for _, key := range set["keys"].([]any) {
				change(key.(map[string]any))
			}
		})
	case "jwt":
		p.AdjustHeader(members(args[1:]))
	case "front":
		p.AdjustFrontIDToken(members(args[1:]))
	case "says":
		p.AdjustAnswer(provider.Endpoint(args[1]), members(args[2:]))
	case "nonce":
		p.RequireDPoPNonce(provider.Endpoint(args[1]), args[2])
	case "bom":
		p.AddByteOrderMark(provider.Endpoint(args[1]))
	default:
		s.ts.Fatalf("issuer %s isn't known", args[0])
	}
}

// members parses arguments of the form NAME=JSON and returns a function that sets these members of an object. A JSON null
// removes a member.
func members(args []string) func(map[string]any) {
	return func(object map[string]any) {
		for _, arg := range args {
			name, value, _ := strings.Cut(arg, "=")
			if object[name] = claimValue(value); object[name] == nil {
				delete(object, name)
			}
		}
	}
}
