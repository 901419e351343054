package bundle

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A bundle is a zip file in which nothing is compressed and nothing is left open: names in a given order, one fixed time, one mode, no
// comments, no extra fields. What is in it and in which order is in its manifest, so that every byte of the archive is either a file's
// content, which has sums, or known beforehand. The format is that of PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.

// Signatures of the parts of a zip file.
const (
	sigLocal   = 0x04034b50
	sigCentral = 0x02014b50
	sigEnd     = 0x06054b50
)

// Lengths of the parts of a zip file without names, in bytes.
const (
	localLen   = 30
	centralLen = 46
	endLen     = 22
)

// What every header has.
const (
	needs    = 10             // the version of zip that is needed to unpack
	madeBy   = 3<<8 | 20      // on Unix
	names8   = 0x0800         // names are UTF-8
	noTime   = 0              // midnight
	firstDay = 1<<5 | 1       // 1980-01-01, the first day that zip has
	mode     = 0o100644 << 16 // a plain file
)

// entry is one file of the archive.
type entry struct {
	name string
	sums Sums
	at   int64 // of its header
}

func (e entry) crc() uint32   { return uint32(hex64(e.sums.CRC32)) }
func (e entry) dataAt() int64 { return e.at + localLen + int64(len(e.name)) }
func (e entry) end() int64    { return e.dataAt() + e.sums.Size }

// local returns the header before an entry's content.
func (e entry) local() []byte {
	var b bytes.Buffer
	put(&b, uint32(sigLocal), uint16(needs), uint16(names8), uint16(0), uint16(noTime), uint16(firstDay), e.crc(), uint32(e.sums.Size), uint32(e.sums.Size),
		uint16(len(e.name)), uint16(0))
	b.WriteString(e.name)
	return b.Bytes()
}

// central returns the entry's line in the directory at the end.
func (e entry) central() []byte {
	var b bytes.Buffer
	put(&b, uint32(sigCentral), uint16(madeBy), uint16(needs), uint16(names8), uint16(0), uint16(noTime), uint16(firstDay), e.crc(), uint32(e.sums.Size),
		uint32(e.sums.Size), uint16(len(e.name)), uint16(0), uint16(0), uint16(0), uint16(0), uint32(mode), uint32(e.at))
	b.WriteString(e.name)
	return b.Bytes()
}

// directory returns what is behind all contents.
func directory(entries []entry) []byte {
	var b bytes.Buffer
	at := entries[len(entries)-1].end()
	for _, e := range entries {
		b.Write(e.central())
	}
	n := b.Len()
	put(&b, uint32(sigEnd), uint16(0), uint16(0), uint16(len(entries)), uint16(len(entries)), uint32(n), uint32(at), uint16(0))
	return b.Bytes()
}

func put(b *bytes.Buffer, values ...any) {
	for _, v := range values {
		_ = binary.Write(b, binary.LittleEndian, v) // a buffer takes everything
	}
}

// place puts entries one behind the other.
func place(entries []entry) []entry {
	at := int64(0)
	for i := range entries {
		entries[i].at = at
		at = entries[i].end()
	}
	return entries
}

// field is a part of a header.
type field struct {
	to   int // the first byte behind it
	name string
}

var (
	localFields = []field{{4, "the signature"}, {6, "the version"}, {8, "the flags"}, {10, "the method of compression"}, {12, "the time"}, {14, "the date"},
		{18, "the CRC-32"}, {22, "the packed size"}, {26, "the size"}, {28, "the length of the name"}, {30, "the length of the extra field"}}
	centralFields = []field{{4, "the signature"}, {6, "the system that made it"}, {8, "the version"}, {10, "the flags"}, {12, "the method of compression"}, {14, "the time"}, {16, "the date"},
		{20, "the CRC-32"}, {24, "the packed size"}, {28, "the size"}, {30, "the length of the name"}, {32, "the length of the extra field"}, {34, "the length of the comment"},
		{36, "the number of the disk"}, {38, "the inner attributes"}, {42, "the mode"}, {46, "the place of the file"}}
	endFields = []field{{4, "the signature"}, {6, "the number of the disk"}, {8, "the disk of the directory"}, {10, "the number of files on this disk"}, {12, "the number of files"},
		{16, "the size of the directory"}, {20, "the place of the directory"}, {22, "the length of the comment"}}
)

func fieldAt(fields []field, at int) string {
	for _, f := range fields {
		if at < f.to {
			return f.name
		}
	}
	return "the name"
}

// headerWords says which part of an entry's header a byte is in.
func (e entry) headerWords(at int) string {
	return fmt.Sprintf("%s of %s", fieldAt(localFields, at), e.name)
}

// directoryWords says which part of the directory a byte is in, and to which file it belongs.
func directoryWords(entries []entry, at int) (name, words string) {
	for _, e := range entries {
		n := len(e.central())
		if at < n {
			return e.name, fmt.Sprintf("%s of %s in the directory", fieldAt(centralFields, at), e.name)
		}
		at -= n
	}
	return "", fieldAt(endFields, at) + " at the archive's end"
}
