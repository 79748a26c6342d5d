package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// A Release is what build builds.
type Release struct {
	Source  string // the folder of the repository
	Out     string // the folder for the files; it is replaced
	Stamp   Stamp
	Targets []Target

	scratch string // a temporary folder for binaries, man page and completions
}

// A Target is a system that binaries are built for.
type Target struct{ OS, Arch string }

func (t Target) String() string { return t.OS + "/" + t.Arch }

// targets are the systems of a release.
var targets = []Target{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}}

// base returns the beginning of the names of the target's files.
func (r *Release) base(t Target) string {
	return fmt.Sprintf("sallyport_%s_%s_%s", r.Stamp.FileVersion(), t.OS, t.Arch)
}

// binary returns the path of the target's binary.
func (r *Release) binary(t Target) string {
	return filepath.Join(r.scratch, "sallyport_"+t.OS+"_"+t.Arch)
}

// path returns the path of a file of the release.
func (r *Release) path(name string) string { return filepath.Join(r.Out, name) }

// build builds a release.
func build(r Release) (err error) {
	if r.scratch, err = os.MkdirTemp("", "sallyport-release-"); err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(r.scratch)) }()
	if err := os.RemoveAll(r.Out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.Out, 0o755); err != nil {
		return err
	}
	if err := r.texts(); err != nil {
		return err
	}
	if err := r.chart(); err != nil {
		return err
	}
	for _, t := range r.Targets {
		if err := r.target(t); err != nil {
			return fmt.Errorf("%v: %w", t, err)
		}
	}
	return writeChecksums(r.Out)
}

// target builds the files of a target.
func (r *Release) target(t Target) error {
	if err := r.compile(t); err != nil {
		return err
	}
	if err := r.archive(t); err != nil {
		return err
	}
	if t.OS == "linux" {
		if err := r.packages(t); err != nil {
			return err
		}
	}
	return r.writeSBOM(t)
}

// compile builds the binary of a target. Neither the folder of the sources, nor cgo, nor variables of the environment have an influence.
func (r *Release) compile(t Target) error {
	if _, err := os.Stat(r.binary(t)); err == nil {
		return nil // it has written the texts
	}
	s := r.Stamp
	flags := fmt.Sprintf("-s -w -buildid= -X main.version=%s -X main.commit=%s -X main.date=%s",
		s.Version, s.Commit, s.Time.Format("2006-01-02"))
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", r.binary(t), "./cmd/sallyport")
	cmd.Dir = r.Source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+t.OS, "GOARCH="+t.Arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// texts lets the binary for this machine write the man page and the completions.
func (r *Release) texts() error {
	here := Target{runtime.GOOS, runtime.GOARCH}
	if err := r.compile(here); err != nil {
		return err
	}
	for _, text := range texts {
		out, err := exec.Command(r.binary(here), text.args...).Output()
		if err != nil {
			return fmt.Errorf("sallyport %v: %w", text.args, err)
		}
		if err := os.WriteFile(filepath.Join(r.scratch, text.name), out, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// A text is a file that the binary writes.
type text struct {
	name string
	args []string
	deb  string // its path in a deb package
	rpm  string // and in a rpm package, if that is another
}

var texts = []text{
	{"sallyport.1", []string{"man"}, "/usr/share/man/man1/sallyport.1", ""},
	{"sallyport.bash", []string{"completion", "bash"}, "/usr/share/bash-completion/completions/sallyport", ""},
	{"_sallyport", []string{"completion", "zsh"}, "/usr/share/zsh/vendor-completions/_sallyport",
		"/usr/share/zsh/site-functions/_sallyport"},
	{"sallyport.fish", []string{"completion", "fish"}, "/usr/share/fish/vendor_completions.d/sallyport.fish", ""},
}
