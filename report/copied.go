package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Marks of a copy of a record, as package archive makes them. The first is there before anything else is, and the last when
// everything else is: without it the copy is a part of a record, and no record.
const (
	BegunMark = "copy-begun.json"
	WholeMark = "copy-whole.json"
)

// maxMark bounds what is read of a mark, in bytes.
const maxMark = 16 << 20

// ErrHalfCopied says that a folder holds a copy that never became whole.
var ErrHalfCopied = errors.New("this is a copy of a record that is not whole")

// Begun is the content of the first mark.
type Begun struct {
	Run  string    `json:"run"`
	From string    `json:"from"` // the record's own folder
	Host string    `json:"host"` // where that is
	At   time.Time `json:"at"`
}

// Whole is the content of the last mark.
type Whole struct {
	Run   string       `json:"run"`
	From  string       `json:"from"`
	Host  string       `json:"host"`
	At    time.Time    `json:"at"`
	Files []CopiedFile `json:"files"` // all others, but for the first mark
}

// CopiedFile is one file of a copy.
type CopiedFile struct {
	Path   string `json:"path"` // below the copy's folder, with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // in hexadecimal
}

// IsCopy reports whether a folder holds a copy of a record, whole or not. Nothing is to be written there: it may be where files can be
// written once, and what is in it has its digests in the mark.
func IsCopy(dir string) bool {
	for _, mark := range []string{BegunMark, WholeMark} {
		if _, err := os.Lstat(filepath.Join(dir, mark)); err == nil {
			return true
		}
	}
	return false
}

// RevealedFile is the name of the file in a record by which a facilitator has shown a blind run to everybody that was killed, and is never over.
const RevealedFile = "revealed.json"

// IsRevealed reports whether a facilitator has shown the run of a record to everybody. What cannot be told is no.
func IsRevealed(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, RevealedFile))
	return err == nil && info.Mode().IsRegular()
}

// CheckCopy returns an error when a folder holds a copy that is not whole: it was never finished, or a file of it has another size.
func CheckCopy(dir string) error {
	var whole Whole
	err := ReadMark(filepath.Join(dir, WholeMark), &whole)
	if errors.Is(err, fs.ErrNotExist) {
		if !IsCopy(dir) {
			return nil
		}
		var begun Begun
		if err := ReadMark(filepath.Join(dir, BegunMark), &begun); err != nil {
			return fmt.Errorf("%s: %w, and where the record itself is cannot be read: %w", dir, ErrHalfCopied, err)
		}
		return fmt.Errorf("%s: %w: its %s began at %s, and either goes on or ended without copying its record; the record itself is %s on %s, and "+
			"`gameday copy` there finishes the copy", dir, ErrHalfCopied, strings.TrimSpace("run "+begun.Run), begun.At.UTC().Format("2006-01-02 15:04:05 UTC"), begun.From, begun.Host)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %w", dir, ErrHalfCopied, err)
	}
	for _, f := range whole.Files {
		path := filepath.FromSlash(f.Path)
		if !filepath.IsLocal(path) {
			return fmt.Errorf("%s: %w: its mark names a file %q outside of it", dir, ErrHalfCopied, f.Path)
		}
		info, err := os.Stat(filepath.Join(dir, path))
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w: %s is missing: %w", dir, ErrHalfCopied, f.Path, err)
		case info.Size() != f.Size:
			return fmt.Errorf("%s: %w: %s has %d bytes, and had %d when it was copied", dir, ErrHalfCopied, f.Path, info.Size(), f.Size)
		}
	}
	return nil
}

// ReadMark reads a mark of a copy.
func ReadMark(path string, into any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxMark)).Decode(into); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}
