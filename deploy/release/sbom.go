package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// writeSBOM writes the software bill of materials of a target's binary: the modules that the linker wrote into it, and Go's standard
// library.
func (r *Release) writeSBOM(t Target) (err error) {
	info, err := buildinfo.ReadFile(r.binary(t))
	if err != nil {
		return err
	}
	content, err := os.ReadFile(r.binary(t))
	if err != nil {
		return err
	}
	f, err := os.Create(r.path(r.base(t) + ".cdx.json"))
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, f.Close()) }()
	bom := r.bom(info, sha256.Sum256(content))
	return cdx.NewBOMEncoder(f, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
}

// bom returns the bill of materials of a binary with its hash. The serial number comes from the hash, so that it is always the same.
func (r *Release) bom(info *debug.BuildInfo, sum [sha256.Size]byte) *cdx.BOM {
	version := r.Stamp.FileVersion()
	main := cdx.Component{
		BOMRef: "sallyport", Type: cdx.ComponentTypeApplication, Name: "sallyport", Version: version,
		Hashes:   &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: fmt.Sprintf("%x", sum)}},
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
	}
	components := []cdx.Component{library("std", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		components = append(components, library(m.Path, m.Version))
	}
	var refs []string
	for _, c := range components {
		refs = append(refs, c.BOMRef)
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = serial(sum)
	bom.Metadata = &cdx.Metadata{Timestamp: r.Stamp.Time.Format(time.RFC3339), Component: &main}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &refs}}
	return bom
}

// library returns a Go module as a component.
func library(path, version string) cdx.Component {
	purl := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	return cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl}
}

// serial returns a UUID of version 8 (RFC 9562 §5.8) from a hash.
func serial(sum [sha256.Size]byte) string {
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
