package bundle

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// Finding is one thing in a bundle that is not as it was.
type Finding struct {
	File  string `json:"file"`            // in the bundle; empty is the archive itself
	Place string `json:"place,omitempty"` // "byte 4711 (line 12, column 8)", "$.parts[2].low", "line 3"
	Text  string `json:"text"`
	// Archive is the byte of the archive, from 0; -1 when it is about no byte.
	Archive int64 `json:"archive_byte"`
}

// String returns the finding as one line.
func (f Finding) String() string {
	s := f.File
	if s == "" {
		s = "the archive"
	}
	if f.Place != "" {
		s += ": " + f.Place
	}
	return s + ": " + f.Text
}

// Archive is a bundle that was read: an archive, or the folder that one was unpacked into. It is for one goroutine.
type Archive struct {
	in        io.ReaderAt
	size      int64
	root      *os.Root // the folder; nil for an archive
	Manifest  *Manifest
	manifest  []byte // as it was sealed: with a byte that was changed put back
	there     []byte // the manifest as it is there
	signature []byte // as it is there; nil when the bundle is unsigned
	entries   []entry
	Findings  []Finding
}

func (a *Archive) found(file, place string, at int64, text string, args ...any) {
	a.Findings = append(a.Findings, Finding{file, place, fmt.Sprintf(text, args...), at})
}

// Read reads an archive and holds every byte of it to its manifest. What differs is in Findings; an error is returned only when so much is
// wrong that nobody can say what the archive should be. It reads no more than the archive has, unpacks nothing, and writes nothing.
func Read(in io.ReaderAt, size int64) (*Archive, error) {
	a := &Archive{in: in, size: size}
	if size > maxArchive+maxManifest {
		return nil, fmt.Errorf("it has %d bytes, and a bundle has at most %d", size, int64(maxArchive))
	}
	sealed, sealErr := a.seal()
	if err := a.readManifest(sealed); err != nil {
		if sealErr != nil {
			err = fmt.Errorf("%w; and %w", err, sealErr)
		}
		return nil, err
	}
	if err := a.readSignature(sealed); err != nil {
		return nil, err
	}
	a.entries = layout(a.Manifest, a.manifest, a.originalSignature(sealed))
	a.checkEnd()
	for _, e := range a.entries {
		a.checkHeader(e)
		a.checkContent(e)
	}
	a.checkDirectory()
	return a, nil
}

// bytesAt returns what is at a place, as far as the archive goes.
func (a *Archive) bytesAt(at, n int64) []byte {
	if at < 0 || at >= a.size || n <= 0 {
		return nil
	}
	b := make([]byte, min(n, a.size-at))
	got, _ := a.in.ReadAt(b, at)
	return b[:got]
}

// seal finds the last file, by its header and by the directory, and reads it as far as it can be.
func (a *Archive) seal() (*seal, error) {
	for _, at := range a.sealPlaces() {
		header := a.bytesAt(at, localLen+int64(len(SealFile)))
		if len(header) < localLen+len(SealFile) {
			continue
		}
		if s := parseSeal(a.bytesAt(at+localLen+int64(len(SealFile)), maxSmall)); s != nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("its last file, %s, is not there or cannot be read", SealFile)
}

// parseSeal reads a seal with which bytes begin, or returns nil.
func parseSeal(b []byte) *seal {
	var s seal
	if json.NewDecoder(bytes.NewReader(b)).Decode(&s) != nil || s.Manifest.check() != nil || s.Signature != nil && s.Signature.check() != nil {
		return nil
	}
	return &s
}

// sealPlaces returns where the last file may begin.
func (a *Archive) sealPlaces() []int64 {
	var out []int64
	const tail = maxFiles * (centralLen + maxName)
	from := max(0, a.size-tail)
	b := a.bytesAt(from, tail)
	for i := len(b); i > 0; {
		i = bytes.LastIndex(b[:i], []byte(SealFile))
		if i < 0 {
			break
		}
		if i >= localLen && binary.LittleEndian.Uint32(b[i-localLen:]) == sigLocal {
			out = append(out, from+int64(i-localLen))
			break
		}
	}
	// The last line of the directory says it as well, should the header be what was changed.
	last := a.bytesAt(a.size-endLen-centralLen-int64(len(SealFile)), centralLen)
	if len(last) == centralLen {
		out = append(out, int64(binary.LittleEndian.Uint32(last[42:])))
	}
	return out
}

// readManifest finds the first file and reads it. The seal, if there is one, says what it was.
func (a *Archive) readManifest(sealed *seal) error {
	at := int64(localLen + len(ManifestFile))
	header := a.bytesAt(0, at)
	if int64(len(header)) < at {
		return fmt.Errorf("it has %d bytes, and is no bundle", a.size)
	}
	sizes := []int64{int64(binary.LittleEndian.Uint32(header[22:])), int64(binary.LittleEndian.Uint32(header[18:]))}
	if sealed != nil {
		sizes = append([]int64{sealed.Manifest.Size}, sizes...)
	}
	differs := differing(header, entry{name: ManifestFile}.local(), 14, 26) // all but CRC-32 and sizes
	if differs > 1 {
		return fmt.Errorf("it does not begin as a bundle does, with an uncompressed %s: unpacked and packed again, or something else", ManifestFile)
	}
	var firstErr error
	for _, size := range sizes {
		if size <= 0 || size > maxManifest {
			continue
		}
		b := a.bytesAt(at, size)
		if int64(len(b)) < size {
			firstErr = orErr(firstErr, fmt.Errorf("it ends at byte %d, inside of its %s", a.size, ManifestFile))
			continue
		}
		err := a.takeManifest(b, at, sealed)
		if err == nil {
			return nil
		}
		firstErr = orErr(firstErr, err)
	}
	return orErr(firstErr, fmt.Errorf("it has no %s", ManifestFile))
}

// takeManifest takes what is there for the manifest, if it can be read. The seal says what it was; at is where it is in the archive, or -1.
func (a *Archive) takeManifest(there []byte, at int64, sealed *seal) error {
	b := there
	if sealed != nil && sealed.Manifest.Size == int64(len(b)) {
		b = a.mendManifest(b, at, sealed.Manifest)
	}
	m, err := parseManifest(b)
	if err == nil && !bytes.Equal(encodeJSON(m), b) {
		err = fmt.Errorf("it is not written as gameday writes it")
	}
	if err != nil {
		if sealed != nil && sumsOfBytes(b).SHA256 == sealed.Manifest.SHA256 { // nobody changed it
			if v := versionOf(b); v != "" {
				err = &VersionError{v, err}
			}
		}
		return fmt.Errorf("its %s cannot be read: %w", ManifestFile, err)
	}
	a.Manifest, a.manifest, a.there = m, b, there
	return nil
}

// VersionError says that a manifest is as it was packed, and that this gameday does not understand it.
type VersionError struct {
	Packed string // the version of the gameday that packed it
	Err    error
}

// Error names the version to verify it with.
func (e *VersionError) Error() string {
	return fmt.Sprintf("gameday %s packed it, otherwise than this one knows: %v; verify it with gameday %s", e.Packed, e.Err, e.Packed)
}

// Unwrap returns what is not understood.
func (e *VersionError) Unwrap() error { return e.Err }

// versionOf returns the version in a manifest that may have anything else.
func versionOf(b []byte) string {
	var m struct{ Version string }
	if json.Unmarshal(b, &m) != nil {
		return ""
	}
	return shorten(m.Version)
}

func orErr(first, other error) error {
	if first != nil {
		return first
	}
	return other
}

// mendManifest returns the manifest as it was sealed, when one byte alone was changed.
func (a *Archive) mendManifest(b []byte, at int64, want Sums) []byte {
	got := sumsOfBytes(b)
	if got.SHA256 == want.SHA256 {
		return b
	}
	c, ok := single(want, got, func() io.Reader { return bytes.NewReader(b) })
	if !ok {
		return b
	}
	a.foundByte(ManifestFile, c, at, func() io.Reader { return bytes.NewReader(b) })
	b = bytes.Clone(b)
	b[c.at] = c.was
	return b
}

// differing counts the bytes by which two headers differ, outside of a span.
func differing(a, b []byte, from, to int) int {
	n := 0
	for i := range min(len(a), len(b)) {
		if (i < from || i >= to) && a[i] != b[i] {
			n++
		}
	}
	return n
}

// readSignature reads the second file, if it is the signature. Its header or the seal says so.
func (a *Archive) readSignature(sealed *seal) error {
	at := int64(localLen + len(ManifestFile) + len(a.manifest))
	header := a.bytesAt(at, localLen+int64(len(SignatureFile)))
	if len(header) < localLen+len(SignatureFile) {
		return nil
	}
	named := string(header[localLen:]) == SignatureFile
	if sealed != nil && sealed.Signature == nil && !named || sealed == nil && !named {
		return nil
	}
	sizes := []int64{int64(binary.LittleEndian.Uint32(header[22:]))}
	if sealed != nil && sealed.Signature != nil {
		sizes = append(sizes, sealed.Signature.Size)
	}
	for _, size := range sizes {
		if size <= 0 || size > maxSmall {
			continue
		}
		at := at + int64(len(header))
		if a.signature == nil || bytes.Equal(a.bytesAt(at+size, 4), binary.LittleEndian.AppendUint32(nil, sigLocal)) { // another file follows
			a.signature = a.bytesAt(at, size)
		}
	}
	if a.signature == nil {
		return fmt.Errorf("its %s has %d bytes, and is none", SignatureFile, sizes[0])
	}
	return nil
}

// originalSignature returns bytes with the sums of the signature as it was: those that are there, with a byte put back.
func (a *Archive) originalSignature(sealed *seal) []byte {
	if a.signature == nil || sealed == nil || sealed.Signature == nil {
		return a.signature
	}
	got := sumsOfBytes(a.signature)
	c, ok := single(*sealed.Signature, got, func() io.Reader { return bytes.NewReader(a.signature) })
	if !ok {
		return a.signature
	}
	b := bytes.Clone(a.signature)
	b[c.at] = c.was
	return b
}

// Open returns the content of a file of the bundle, as it is there.
func (a *Archive) Open(name string) (io.Reader, bool) {
	for _, e := range a.entries {
		if e.name != name {
			continue
		}
		if a.root != nil {
			f, err := a.plain(name)
			if err != nil {
				return nil, false
			}
			return &closing{io.LimitReader(f, e.sums.Size), f}, true
		}
		if e.end() > a.size {
			return nil, false
		}
		return io.NewSectionReader(a.in, e.dataAt(), e.sums.Size), true
	}
	return nil, false
}

// content returns the content of a file that is small.
func (a *Archive) content(name string, most int64) ([]byte, error) {
	r, ok := a.Open(name)
	if !ok {
		return nil, fmt.Errorf("%s is not in the bundle", name)
	}
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return b, err
}

// below returns the files in a folder of the bundle.
func (a *Archive) below(folder string) []string {
	var out []string
	for _, f := range a.Manifest.Files {
		if strings.HasPrefix(f.Path, folder+"/") {
			out = append(out, f.Path)
		}
	}
	return out
}
