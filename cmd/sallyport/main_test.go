package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be sallyport itself, in a process of its own, for the scenarios.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sallyport": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// TestScenarios runs every promise in testdata against the real binary. scenario_test.go has the words that they are
// written in.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("../../testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Files:               files,
		Setup:               setUp,
		Cmds:                words,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
