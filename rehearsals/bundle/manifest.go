// Package bundle packs what speaks for a rehearsal into one archive, and verifies such an archive: scenarios, records, reports, policies,
// the audit log's lines, sign-offs, and a manifest with the sums of all of them, which the user's SSH key may sign.
//
// Whoever verifies derives every report again from its record. One changed byte anywhere in the archive is found, and named: in which
// file, and which byte. The same contents give the same archive, byte for byte.
package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The names of what is in every bundle.
const (
	ManifestFile   = "manifest.json"     // always the first
	SignatureFile  = "manifest.json.sig" // of the manifest, if it is signed
	SealFile       = "seal.json"         // always the last: the sums of those two
	RehearsalFile  = "rehearsal/rehearsal.json"
	ScorecardFile  = "rehearsal/scorecard.json"
	SignOffsFile   = "rehearsal/sign-offs.jsonl"
	recordsFolder  = "records"
	reportsFolder  = "reports"
	PoliciesFolder = "policies"
	CalendarFolder = "calendar"
	AuditFile      = "audit/audit.jsonl"
	scorecardName  = "scorecard.json"
	pageName       = "report.html"
)

// Bounds of a bundle. A reader takes no more, whatever an archive says.
const (
	maxArchive  = 2 << 30  // bytes; places in a zip file without extensions are 32 bits
	maxManifest = 32 << 20 // bytes
	maxSmall    = 1 << 20  // bytes of signature and seal
	maxFiles    = 20000
	maxName     = 400 // bytes
)

// Manifest says what is in a bundle.
type Manifest struct {
	Format    int       `json:"format"` // of bundles: 1
	Rehearsal string    `json:"rehearsal"`
	Made      time.Time `json:"made"` // also the instant that the scorecard is a judgement of
	By        string    `json:"by"`
	Host      string    `json:"host"`
	Version   string    `json:"version"` // of the gameday that derived the reports
	Records   []Record  `json:"records"`
	// Missing is what belongs here and could not be packed, with why.
	Missing []string `json:"missing,omitempty"`
	Files   []File   `json:"files"` // sorted by path
}

// Record is one record in a bundle.
type Record struct {
	Name     string `json:"name"`   // by which the scorecard knows it
	Folder   string `json:"folder"` // below records and reports
	Scenario string `json:"scenario"`
	Run      string `json:"run"`
	Version  string `json:"version"` // of the gameday that ran it
	// Unread says why no report could be derived from it.
	Unread string `json:"unread,omitempty"`
}

// File is one file in a bundle.
type File struct {
	Path string `json:"path"`
	Sums
}

// seal is the content of the last file.
type seal struct {
	Manifest  Sums  `json:"manifest"`
	Signature *Sums `json:"signature"`
}

func encodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("encoding a part of a bundle: %v", err)) // plain values of ours
	}
	return b.Bytes()
}

func sealOf(manifest, signature []byte) []byte {
	s := seal{Manifest: sumsOfBytes(manifest)}
	if signature != nil {
		sums := sumsOfBytes(signature)
		s.Signature = &sums
	}
	return encodeJSON(s)
}

// strict decodes a JSON document of which every field is known, and behind which there is nothing.
func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind its end")
	}
	return nil
}

// parseManifest reads a manifest, and refuses what no bundle may have.
func parseManifest(b []byte) (*Manifest, error) {
	m := &Manifest{}
	if err := strict(b, m); err != nil {
		return nil, err
	}
	if m.Format != 1 {
		return nil, fmt.Errorf("it is of format %d, and this gameday knows format 1", m.Format)
	}
	if n := max(len(m.Files), len(m.Records), len(m.Missing)); n > maxFiles {
		return nil, fmt.Errorf("it has %d files or records, and %d are allowed", n, maxFiles)
	}
	total, seen := int64(0), map[string]string{}
	for i, f := range m.Files {
		if err := checkName(f.Path); err != nil {
			return nil, err
		}
		folded := strings.ToLower(f.Path)
		if other, ok := seen[folded]; ok {
			return nil, fmt.Errorf("%q and %q are one file on many systems", other, f.Path)
		}
		seen[folded] = f.Path
		if i > 0 && m.Files[i-1].Path >= f.Path {
			return nil, fmt.Errorf("%q is not in its place", f.Path)
		}
		if err := f.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		if total += f.Size; total > maxArchive {
			return nil, fmt.Errorf("its files have more than %d bytes together", int64(maxArchive))
		}
	}
	for folded, name := range seen { // a file is no folder
		for dir := path.Dir(folded); dir != "."; dir = path.Dir(dir) {
			if other, ok := seen[dir]; ok {
				return nil, fmt.Errorf("%q is below the file %q", name, other)
			}
		}
	}
	for i, r := range m.Records {
		if checkName(recordsFolder+"/"+r.Folder) != nil || strings.Contains(r.Folder, "/") {
			return nil, fmt.Errorf("%q names no folder of a record", r.Folder)
		}
		if slices.ContainsFunc(m.Records[:i], func(o Record) bool { return strings.EqualFold(o.Folder, r.Folder) || o.Name == r.Name }) {
			return nil, fmt.Errorf("the record %q is there twice", r.Name)
		}
	}
	return m, nil
}

// checkName refuses what is no plain path below a folder on any system, and the names of what every bundle has.
func checkName(name string) error {
	clean := path.Clean("/" + name)[1:]
	bad := func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(`\:*?"<>|`, r) }
	switch {
	case name == "" || len(name) > maxName || !utf8.ValidString(name) || name != clean || strings.ContainsFunc(name, bad):
		return fmt.Errorf("%q is no path below a folder", shorten(name))
	case slices.Contains([]string{ManifestFile, SignatureFile, SealFile}, strings.ToLower(name)):
		return fmt.Errorf("%q is among the files", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "." || part == ".." || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") || strings.HasPrefix(part, " ") {
			return fmt.Errorf("%q is no path below a folder", shorten(name))
		}
	}
	return nil
}

var (
	digits64 = regexp.MustCompile(`^[0-9a-f]{64}$`)
	digits16 = regexp.MustCompile(`^[0-9a-f]{16}$`)
	digits8  = regexp.MustCompile(`^[0-9a-f]{8}$`)
)

func (s Sums) check() error {
	blocks := 0
	if s.Size > blockSize && s.Size <= maxArchive {
		blocks = int((s.Size + blockSize - 1) / blockSize)
	}
	ok := s.Size >= 0 && s.Size <= maxArchive && digits64.MatchString(s.SHA256) && digits8.MatchString(s.CRC32) && digits16.MatchString(s.Plain) && digits16.MatchString(s.Placed) &&
		len(s.Blocks) == blocks && !slices.ContainsFunc(s.Blocks, func(b string) bool { return !digits16.MatchString(b) })
	if !ok {
		return errors.New("its sums are not as gameday writes them")
	}
	return nil
}

func shorten(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

// has reports whether the bundle has a file, and returns it.
func (m *Manifest) has(name string) (File, bool) {
	i, ok := slices.BinarySearchFunc(m.Files, name, func(f File, n string) int { return strings.Compare(f.Path, n) })
	if !ok {
		return File{}, false
	}
	return m.Files[i], true
}
