package app

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"sallyport/internal/config"
)

// Check reads a configuration as Run would and says what is wrong with it, or what one should know. Nothing is contacted.
func Check(read config.Source, out io.Writer) error {
	file, err := read()
	if err != nil {
		return err
	}
	b := newChecker()
	defer b.kept.close()
	if _, err := b.gate(file); err != nil {
		return err
	}
	for _, w := range file.Warnings() {
		fmt.Fprintln(out, "warning:", w)
	}
	fmt.Fprintf(out, "%s: ok, %d route%s\n", file.Name, len(file.Routes), plural(len(file.Routes)))
	return nil
}

// newChecker returns a builder that keeps nothing and logs nothing.
func newChecker() *builder {
	return &builder{kept: newKept(), log: slog.New(slog.DiscardHandler), now: time.Now, used: map[any]bool{}}
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
