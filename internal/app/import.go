package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/config"
	"sallyport/internal/importer"
	"sallyport/internal/strict"
)

// ImportOptions are the arguments of Import.
type ImportOptions struct {
	System      string   // one of importer.Systems
	Files       []string // - is standard input
	CommandLine []string // flags of the other system
	Folder      string   // where the configuration is written; empty: to out, as one file
}

// Import writes a configuration that is made from the files of another system to a folder or to out, and to report what differs. It
// overwrites no file. It returns an error if the files can't be read, or if the gate refuses the configuration, which is written all the
// same.
func Import(o ImportOptions, in io.Reader, out, report io.Writer) error {
	sources, err := readSources(o.Files, in)
	if err != nil {
		return err
	}
	if len(o.CommandLine) > 0 {
		sources = append(sources, importer.CommandLine(o.CommandLine))
	}
	result, err := importer.Import(o.System, sources)
	if err != nil {
		return err
	}
	refused := checkResult(result, o.Folder == "")
	if err := writeResult(result, o.Folder, out); err != nil {
		return err
	}
	if o.Folder == "" && len(result.Files) > 0 {
		fmt.Fprintf(report, "%s and other files aren't written to standard output: write -o DIR\n", result.Files[0].Name)
	}
	for _, n := range result.Notes {
		fmt.Fprintln(report, n)
	}
	for _, v := range result.Variables {
		if _, set := os.LookupEnv(v.Name); !set {
			fmt.Fprintf(report, "set the environment variable %s before the start\n", v.Name)
		}
	}
	if refused != nil {
		return fmt.Errorf("%w\nthe configuration is written, and sallyport run refuses it until these errors are repaired", refused)
	}
	return nil
}

// readSources reads files, each of at most the size that a configuration may have.
func readSources(names []string, in io.Reader) (all []importer.Source, err error) {
	for _, name := range names {
		s := importer.Source{Name: name}
		if name == "-" {
			s.Name = "stdin"
			s.Data, err = readSource(in)
		} else {
			s.Data, err = readFile(name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: the file can't be read: %w", s.Name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// maxSource is the size of a file that is imported, in bytes. The export of a database is longer than any configuration of the gate.
const maxSource = 32 << 20

// readSource reads in to its end. It returns an error for more than maxSource bytes.
func readSource(in io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxSource+1))
	if len(data) > maxSource {
		return nil, errors.New("it is longer than 32 MiB")
	}
	return data, err
}

// readFile reads a file as readSource does. Its errors don't have the file's name.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, check.Cause(err)
	}
	defer f.Close()
	return readSource(f)
}

// checkResult returns the error with which the gate would refuse the result. It writes the result to a folder of its own for that.
func checkResult(result *importer.Result, single bool) error {
	folder, err := os.MkdirTemp("", "sallyport-import-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	files := result.Config()
	if single {
		files = append([]importer.File{result.Single()}, result.Files...)
	}
	if err := writeFiles(folder, files); err != nil {
		return err
	}
	source := config.FromFileIn(filepath.Join(folder, importer.ProcessFile), result.Lookup)
	return atSource(files, folder, Check(source, io.Discard))
}

// atSource returns the error of a check in a folder, with the places in the source from which the lines are made.
func atSource(files []importer.File, folder string, err error) error {
	var problems strict.Problems
	if !errors.As(err, &problems) {
		return err
	}
	folder += string(filepath.Separator)
	for i := range problems {
		p := &problems[i]
		p.Text = strings.ReplaceAll(p.Text, folder, "")
		p.File = strings.TrimPrefix(p.File, folder)
		for _, f := range files {
			if place, known := f.Place(p.Line); known && f.Name == p.File {
				p.Text += " (" + strict.Mark{File: p.File, Line: p.Line}.String() + ")"
				p.File, p.Line = place.File, place.Line
				break
			}
		}
	}
	strict.SortProblems(problems)
	return problems
}

// writeResult writes the configuration of a result to a folder, or as one file to out.
func writeResult(result *importer.Result, folder string, out io.Writer) error {
	if folder == "" {
		_, err := out.Write(result.Single().Data)
		return err
	}
	return writeFiles(folder, result.Config())
}

// writeFiles writes files to a folder. It writes none if one of them exists.
func writeFiles(folder string, files []importer.File) error {
	for _, f := range files {
		name := filepath.Join(folder, filepath.FromSlash(f.Name))
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("%s exists, and files are never overwritten: write -o with another folder, or remove it", name)
		}
	}
	for _, f := range files {
		if err := writeNew(filepath.Join(folder, filepath.FromSlash(f.Name)), f); err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a file that doesn't exist yet.
func writeNew(name string, f importer.File) error {
	mode := os.FileMode(0o644)
	if f.Private {
		mode = 0o600
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(f.Data)
	return errors.Join(err, file.Close())
}
