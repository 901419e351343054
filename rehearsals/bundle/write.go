package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Source is one file that goes into a bundle: a file on disk, or bytes.
type Source struct {
	Path string // in the bundle
	File string // on disk; empty is Data
	Data []byte
}

func (s Source) open() (io.ReadCloser, error) {
	if s.File == "" {
		return io.NopCloser(bytes.NewReader(s.Data)), nil
	}
	return os.Open(s.File)
}

// Write writes a bundle. The files of the manifest are filled in, in the order of their paths. sign signs the manifest; nil leaves the
// bundle unsigned. A file that changes meanwhile is an error. When it fails, what was written is no bundle.
func Write(w io.Writer, m *Manifest, sources []Source, sign func(manifest []byte) ([]byte, error)) error {
	sources = slices.Clone(sources)
	slices.SortFunc(sources, func(a, b Source) int { return strings.Compare(a.Path, b.Path) })
	m.Format, m.Files = 1, []File{}
	for _, s := range sources {
		sums, err := s.sums()
		if err != nil {
			return fmt.Errorf("packing %s: %w", s.Path, err)
		}
		m.Files = append(m.Files, File{s.Path, sums})
	}
	manifest := encodeJSON(m)
	if _, err := parseManifest(manifest); err != nil {
		return fmt.Errorf("packing: %w", err)
	}
	if len(manifest) > maxManifest {
		return fmt.Errorf("packing: the manifest has %d bytes, and %d are allowed", len(manifest), maxManifest)
	}
	var signature []byte
	if sign != nil {
		var err error
		if signature, err = sign(manifest); err != nil {
			return err
		}
	}
	inner := map[string][]byte{ManifestFile: manifest, SignatureFile: signature, SealFile: sealOf(manifest, signature)}
	entries := layout(m, manifest, signature)
	if last := entries[len(entries)-1]; last.end() > maxArchive {
		return fmt.Errorf("packing: the bundle would have %d bytes, and %d are allowed; leave records out", last.end(), int64(maxArchive))
	}
	for _, e := range entries {
		if _, err := w.Write(e.local()); err != nil {
			return fmt.Errorf("writing the bundle: %w", err)
		}
		if b, ok := inner[e.name]; ok {
			if _, err := w.Write(b); err != nil {
				return fmt.Errorf("writing the bundle: %w", err)
			}
			continue
		}
		i, _ := slices.BinarySearchFunc(sources, e.name, func(s Source, n string) int { return strings.Compare(s.Path, n) })
		if err := sources[i].copy(w, e.sums); err != nil {
			return fmt.Errorf("packing %s: %w", e.name, err)
		}
	}
	if _, err := w.Write(directory(entries)); err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	return nil
}

// layout returns every file of the archive in its place.
func layout(m *Manifest, manifest, signature []byte) []entry {
	entries := []entry{{name: ManifestFile, sums: sumsOfBytes(manifest)}}
	if signature != nil {
		entries = append(entries, entry{name: SignatureFile, sums: sumsOfBytes(signature)})
	}
	for _, f := range m.Files {
		entries = append(entries, entry{name: f.Path, sums: f.Sums})
	}
	entries = append(entries, entry{name: SealFile, sums: sumsOfBytes(sealOf(manifest, signature))})
	return place(entries)
}

func (s Source) sums() (Sums, error) {
	in, err := s.open()
	if err != nil {
		return Sums{}, err
	}
	defer in.Close()
	return sumsOf(io.LimitReader(in, maxArchive+1))
}

var errChanged = errors.New("it changed while it was packed; pack again when nobody writes to it")

func (s Source) copy(w io.Writer, want Sums) error {
	in, err := s.open()
	if err != nil {
		return err
	}
	defer in.Close()
	sums := newSummer()
	if _, err := io.CopyN(io.MultiWriter(w, sums), in, want.Size); err != nil {
		if errors.Is(err, io.EOF) {
			return errChanged
		}
		return err
	}
	if n, _ := in.Read(make([]byte, 1)); n > 0 || sums.sums().SHA256 != want.SHA256 {
		return errChanged
	}
	return nil
}
