package app

import (
	"fmt"
	"io"
	"log/slog"

	"sallyport/internal/config"
)

// Check reads a configuration and makes its objects as Run would. It returns an error for a configuration that Run would refuse, and writes
// the warnings and notes of any other. It connects to no server.
func Check(source *config.Source, out io.Writer) error {
	file, err := source.Load()
	if err != nil {
		return err
	}
	b := newCheckBuilder()
	defer b.state.close()
	if _, err := b.gate(file); err != nil {
		return err
	}
	for _, w := range file.Warnings() {
		fmt.Fprintln(out, "warning:", w)
	}
	for _, note := range b.notes {
		fmt.Fprintln(out, "note:", note)
	}
	noteACME(out, file)
	fmt.Fprintf(out, "%s: ok, %d route%s\n", file.Name, len(file.Routes), plural(len(file.Routes)))
	return nil
}

// newCheckBuilder returns a builder without a running configuration and without a log. The caller closes its state.
func newCheckBuilder() *builder {
	return newBuilder(newReloadState(), slog.New(slog.DiscardHandler))
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
