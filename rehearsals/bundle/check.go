package bundle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

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

// presence is a file of the bundle as it is there. Whoever opened it closes it.
type presence struct {
	io.ReaderAt
	size int64
	at   int64 // in the archive; -1 in a folder
	io.Closer
}

func (p *presence) open() io.Reader { return io.NewSectionReader(p, 0, p.size) }

// present opens what is there of a file.
func (a *Archive) present(e entry) (*presence, error) {
	if a.root != nil {
		f, err := a.plain(e.name)
		if err != nil {
			return nil, err
		}
		info, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return &presence{f, info.Size(), -1, f}, nil
	}
	size := max(0, min(e.sums.Size, a.size-e.dataAt()))
	return &presence{io.NewSectionReader(a.in, e.dataAt(), size), size, e.dataAt(), io.NopCloser(nil)}, nil
}

func (a *Archive) checkContent(e entry) {
	if e.name == ManifestFile || a.root == nil && e.dataAt() >= a.size {
		return // it was looked at; what is cut off was said
	}
	p, err := a.present(e)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.found(e.name, "", -1, "it is not there")
		return
	case err != nil:
		a.found(e.name, "", -1, "it cannot be read: %v", err)
		return
	}
	defer p.Close()
	if p.size != e.sums.Size {
		if a.root != nil { // what is cut off of an archive was said
			a.otherSize(e, p)
		}
		return
	}
	got, err := sumsOf(p.open())
	if err != nil {
		a.found(e.name, "", -1, "it cannot be read: %v", err)
		return
	}
	if got.SHA256 == e.sums.SHA256 {
		return
	}
	if c, ok := single(e.sums, got, p.open); ok {
		a.foundByte(e.name, c, p.at, p.open)
		return
	}
	if e.name == SealFile {
		a.foreignSeal(p.at)
		return
	}
	from, to := where(e.sums, got)
	a.foundBytes(e, p, from, to, "more than one byte was changed; its SHA-256 is %s, and was %s", got.SHA256, e.sums.SHA256)
}

// otherSize says of a file that is shorter or longer than it was where that begins.
func (a *Archive) otherSize(e entry, p *presence) {
	if e.name == SealFile {
		a.foreignSeal(p.at)
		return
	}
	if p.size == 0 {
		a.found(e.name, "", -1, "it is empty, and had %d bytes", e.sums.Size)
		return
	}
	got, err := sumsOf(io.LimitReader(p.open(), e.sums.Size))
	if err != nil {
		a.found(e.name, "", -1, "it cannot be read: %v", err)
		return
	}
	same := 0
	for same < min(len(e.sums.Blocks), len(got.Blocks)) && e.sums.Blocks[same] == got.Blocks[same] {
		same++
	}
	from := int64(same) * blockSize
	a.foundBytes(e, p, min(from, p.size), max(from, min(from+blockSize, p.size)), "it has %d bytes, and had %d: the first that differ are among these", p.size, e.sums.Size)
}

func (a *Archive) foreignSeal(at int64) {
	a.found(SealFile, "", at, "it does not belong to this %s and its signature: more than one byte of them was changed, or they are of different bundles", ManifestFile)
}

// foundBytes tells of bytes among which some were changed.
func (a *Archive) foundBytes(e entry, p *presence, from, to int64, text string, args ...any) {
	la, _ := line(p.open(), from)
	lb, _ := line(p.open(), max(to-1, 0))
	at := int64(-1)
	if p.at >= 0 {
		at = p.at + from
	}
	a.found(e.name, fmt.Sprintf("bytes %d to %d (lines %d to %d)", from, max(to-1, from), la, lb), at, text, args...)
}

// foundByte tells of one byte that was changed. dataAt is where the file is in the archive, or -1.
func (a *Archive) foundByte(file string, c change, dataAt int64, open func() io.Reader) {
	l, column := line(open(), c.at)
	at := int64(-1)
	if dataAt >= 0 {
		at = dataAt + c.at
	}
	a.found(file, fmt.Sprintf("byte %d (line %d, column %d)", c.at, l, column), at, "it is %s, and was %s", shown(c.now), shown(c.was))
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
