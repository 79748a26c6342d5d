package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// packages writes the deb and the rpm package of a target.
func (r *Release) packages(t Target) error {
	for _, format := range []string{"deb", "rpm"} {
		info, err := r.packageInfo(t)
		if err != nil {
			return err
		}
		if err := r.writePackage(format, info); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
	}
	return nil
}

// writePackage writes a package of a format.
func (r *Release) writePackage(format string, info *nfpm.Info) (err error) {
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return err
	}
	f, err := os.Create(r.path(packager.ConventionalFileName(info)))
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, f.Close()) }()
	return packager.Package(info, f)
}

// packageInfo describes the package of a target. Packages change it, so that each needs its own.
func (r *Release) packageInfo(t Target) (*nfpm.Info, error) {
	contents, err := r.contents(t)
	script := func(name string) string { return filepath.Join(r.Source, "deploy/package", name) }
	return nfpm.WithDefaults(&nfpm.Info{
		Name: "sallyport", Arch: t.Arch, Platform: t.OS, Version: r.Stamp.PackageVersion(), VersionSchema: "none", Release: "1",
		Section: "net", Priority: "optional", License: "Apache-2.0", MTime: r.Stamp.Time, DisableGlobbing: true,
		Maintainer: "The Sallyport authors <maintainers@sallyport.invalid>",
		Description: "OpenID Connect reverse proxy\n" +
			"It logs users in, verifies sessions and access tokens, decides by rules which\n" +
			"requests may pass, and forwards those with the right token and headers.",
		Overridables: nfpm.Overridables{
			Contents:   contents,
			Recommends: []string{"ca-certificates"},
			Scripts: nfpm.Scripts{
				PostInstall: script("postinstall.sh"), PreRemove: script("preremove.sh"), PostRemove: script("postremove.sh"),
			},
			RPM: nfpm.RPM{BuildHost: "localhost", Summary: "OpenID Connect reverse proxy"},
		},
	}), err
}

// contents returns the files of a package.
func (r *Release) contents(t Target) (files.Contents, error) {
	unit, err := r.unit()
	if err != nil {
		return nil, err
	}
	deploy := filepath.Join(r.Source, "deploy")
	all := files.Contents{
		r.file(r.binary(t), "/usr/bin/sallyport", files.TypeFile, 0o755),
		r.file(unit, "/usr/lib/systemd/system/sallyport.service", files.TypeFile, 0o644),
		r.file(filepath.Join(deploy, "package/sysusers.conf"), "/usr/lib/sysusers.d/sallyport.conf", files.TypeFile, 0o644),
		r.file("", "/etc/sallyport", files.TypeDir, 0o750),
		r.file(filepath.Join(deploy, "package/sallyport.yaml"), "/etc/sallyport/sallyport.yaml", files.TypeConfigNoReplace, 0o640),
		r.file(filepath.Join(r.Source, "LICENSE"), "/usr/share/doc/sallyport/copyright", files.TypeFile, 0o644),
	}
	for _, text := range texts {
		from := filepath.Join(r.scratch, text.name)
		deb, rpm := r.file(from, text.deb, files.TypeFile, 0o644), r.file(from, cmp.Or(text.rpm, text.deb), files.TypeFile, 0o644)
		deb.Packager, rpm.Packager = "deb", "rpm"
		all = append(all, deb, rpm)
	}
	for _, name := range []string{"README.md", "CHANGELOG.md", "configs", "deploy"} {
		members, err := filesBelow(r.Source, name)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			all = append(all, r.file(m.from, "/usr/share/doc/sallyport/"+m.name, files.TypeFile, 0o644))
		}
	}
	return all, nil
}

// file returns a file of a package, which belongs to root.
func (r *Release) file(from, to, kind string, mode os.FileMode) *files.Content {
	return &files.Content{Source: from, Destination: to, Type: kind,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: r.Stamp.Time}}
}

// unit writes the systemd unit with the path that the binary has in a package, and returns its name.
func (r *Release) unit() (string, error) {
	text, err := os.ReadFile(filepath.Join(r.Source, "deploy/systemd/sallyport.service"))
	if err != nil {
		return "", err
	}
	name := filepath.Join(r.scratch, "sallyport.service")
	return name, os.WriteFile(name, bytes.ReplaceAll(text, []byte("/usr/local/bin/"), []byte("/usr/bin/")), 0o644)
}
