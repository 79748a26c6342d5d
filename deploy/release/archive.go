package main

import (
	"archive/tar"
	"bufio"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// A member is a file of an archive.
type member struct {
	name string // below the archive's only folder
	from string // the file that has its content
	mode int64
}

// archived are the files and folders of the repository that an archive has.
var archived = []string{"LICENSE", "README.md", "CHANGELOG.md", "configs", "deploy"}

// archive writes the archive of a target: the binary, the texts, and files of the repository.
func (r *Release) archive(t Target) error {
	members := []member{{"sallyport", r.binary(t), 0o755}}
	for _, text := range texts {
		folder := "completions"
		if text.args[0] == "man" {
			folder = "man"
		}
		members = append(members, member{path.Join(folder, text.name), filepath.Join(r.scratch, text.name), 0o644})
	}
	for _, name := range archived {
		files, err := filesBelow(r.Source, name)
		if err != nil {
			return err
		}
		members = append(members, files...)
	}
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	return writeArchive(r.path(r.base(t)+".tar.gz"), r.base(t), r.Stamp.Time, members)
}

// filesBelow returns a file, or all files of a folder that aren't hidden. Scripts are executable.
func filesBelow(root, name string) (members []member, err error) {
	err = filepath.WalkDir(filepath.Join(root, name), func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name()[0] == '.' || file == filepath.Join(root, "deploy/release")): // only builds releases
			return fs.SkipDir
		case d.Name()[0] == '.' || !d.Type().IsRegular():
			return nil
		}
		below, err := filepath.Rel(root, file)
		mode := int64(0o644)
		if filepath.Ext(file) == ".sh" {
			mode = 0o755
		}
		members = append(members, member{filepath.ToSlash(below), file, mode})
		return err
	})
	return members, err
}

// writeArchive writes a .tar.gz whose files belong to root and have the same time.
func writeArchive(name, folder string, at time.Time, members []member) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, f.Close()) }()
	buffered := bufio.NewWriterSize(f, 1<<20)
	compressed, err := gzip.NewWriterLevel(buffered, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	for _, m := range members {
		if err := m.write(archive, folder, at); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), compressed.Close(), buffered.Flush())
}

// write writes the member into an archive.
func (m *member) write(archive *tar.Writer, folder string, at time.Time) error {
	f, err := os.Open(m.from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := tar.Header{
		Name: path.Join(folder, m.name), Size: info.Size(), Mode: m.mode, ModTime: at, Uname: "root", Gname: "root", Format: tar.FormatPAX,
	}
	if err := archive.WriteHeader(&header); err != nil {
		return err
	}
	_, err = io.Copy(archive, f)
	return err
}
