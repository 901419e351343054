package bundle

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
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

// Archive is a bundle that was read. It is for one goroutine.
type Archive struct {
	in        io.ReaderAt
	size      int64
	Manifest  *Manifest
	manifest  []byte // as it is signed: with a byte that was changed put back
	signature []byte // as it is in the archive; nil when the bundle is unsigned
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
		var s seal
		d := json.NewDecoder(bytes.NewReader(a.bytesAt(at+localLen+int64(len(SealFile)), maxSmall)))
		if d.Decode(&s) == nil && s.Manifest.check() == nil && (s.Signature == nil || s.Signature.check() == nil) {
			return &s, nil
		}
	}
	return nil, fmt.Errorf("its last file, %s, is not there or cannot be read", SealFile)
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
		if sealed != nil && sealed.Manifest.Size == size {
			b = a.mendManifest(b, at, sealed.Manifest)
		}
		m, err := parseManifest(b)
		if err == nil && !bytes.Equal(encodeJSON(m), b) {
			err = fmt.Errorf("it is not written as gameday writes it")
		}
		if err == nil {
			a.Manifest, a.manifest = m, b
			return nil
		}
		firstErr = orErr(firstErr, fmt.Errorf("its %s cannot be read: %w", ManifestFile, err))
	}
	return orErr(firstErr, fmt.Errorf("it has no %s", ManifestFile))
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

// checkEnd says when the archive is shorter or longer than it was.
func (a *Archive) checkEnd() {
	last := a.entries[len(a.entries)-1]
	want := last.end() + int64(len(directory(a.entries)))
	switch {
	case a.size > want:
		a.found("", fmt.Sprintf("byte %d", want), want, "%d bytes are behind its end", a.size-want)
	case a.size < want:
		file := ""
		for _, e := range a.entries {
			if a.size < e.end() {
				file = e.name
				break
			}
		}
		a.found(file, "", a.size, "the archive ends at byte %d, and should at %d: it is cut off%s", a.size, want, map[bool]string{true: ", in its directory"}[file == ""])
	}
}

func (a *Archive) checkHeader(e entry) {
	want := e.local()
	got := a.bytesAt(e.at, int64(len(want)))
	for i := range got {
		if got[i] != want[i] {
			at := e.at + int64(i)
			a.found(e.name, fmt.Sprintf("byte %d of the archive", at), at, "%s is %#02x, and was %#02x", e.headerWords(i), got[i], want[i])
			return // one change is enough to say of a header
		}
	}
}

func (a *Archive) checkContent(e entry) {
	if e.name == ManifestFile || e.dataAt() >= a.size {
		return // it was looked at; what is cut off was said
	}
	open := func() io.Reader { return io.NewSectionReader(a.in, e.dataAt(), min(e.sums.Size, a.size-e.dataAt())) }
	got, err := sumsOf(open())
	if err != nil {
		a.found(e.name, "", -1, "it cannot be read: %v", err)
		return
	}
	if got.SHA256 == e.sums.SHA256 || got.Size != e.sums.Size {
		return // the same, or cut off
	}
	if c, ok := single(e.sums, got, open); ok {
		a.foundByte(e.name, c, e.dataAt(), open)
		return
	}
	if e.name == SealFile {
		a.found(e.name, "", e.dataAt(), "it does not belong to this %s and its signature: more than one byte of them was changed, or they are of different bundles", ManifestFile)
		return
	}
	from, to := where(e.sums, got)
	la, _ := line(open(), from)
	lb, _ := line(open(), max(to-1, 0))
	a.found(e.name, fmt.Sprintf("bytes %d to %d (lines %d to %d)", from, to-1, la, lb), e.dataAt()+from, "more than one byte was changed; its SHA-256 is %s, and was %s", got.SHA256, e.sums.SHA256)
}

// foundByte tells of one byte that was changed.
func (a *Archive) foundByte(file string, c change, dataAt int64, open func() io.Reader) {
	l, column := line(open(), c.at)
	a.found(file, fmt.Sprintf("byte %d (line %d, column %d)", c.at, l, column), dataAt+c.at, "it is %s, and was %s", shown(c.now), shown(c.was))
}

func shown(b byte) string {
	if b > ' ' && b < 0x7f {
		return fmt.Sprintf("%q", rune(b))
	}
	return fmt.Sprintf("%#02x", b)
}

func (a *Archive) checkDirectory() {
	want := directory(a.entries)
	at := a.entries[len(a.entries)-1].end()
	got := a.bytesAt(at, int64(len(want)))
	for i := range got {
		if got[i] != want[i] {
			file, words := directoryWords(a.entries, i)
			place := at + int64(i)
			a.found(file, fmt.Sprintf("byte %d of the archive", place), place, "%s is %#02x, and was %#02x", words, got[i], want[i])
			return
		}
	}
}

// Open returns the content of a file of the bundle, as it is in the archive.
func (a *Archive) Open(name string) (io.Reader, bool) {
	for _, e := range a.entries {
		if e.name == name {
			if e.end() > a.size {
				return nil, false
			}
			return io.NewSectionReader(a.in, e.dataAt(), e.sums.Size), true
		}
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
