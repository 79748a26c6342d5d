package app

import (
	"fmt"
	"io"

	"sallyport/internal/config"
	"sallyport/internal/forwardauth"
)

// Snippet writes the part of a proxy's configuration with which it asks the gate of a configuration (forward-auth). kind is a value of
// forward_auth. It returns an error if no listener has that value.
func Snippet(source *config.Source, kind string, out io.Writer) error {
	file, err := source.Load()
	if err != nil {
		return err
	}
	b := newCheckBuilder()
	defer b.state.close()
	gate, err := b.gate(file)
	if err != nil {
		return err
	}
	for _, l := range file.Listen {
		if l.ForwardAuth != nil && l.ForwardAuth.Proxy == kind {
			s, err := forwardauth.NewSnippet(*l.ForwardAuth, l.Address, l.TLS != nil, gate)
			if err != nil {
				return err
			}
			return s.Write(out)
		}
	}
	return fmt.Errorf("no listener of %s has forward_auth: %s: write, for example, "+
		"listen: [{address: 127.0.0.1:8000, forward_auth: %[2]s}]", file.Name, kind)
}
