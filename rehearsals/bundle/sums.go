package bundle

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"slices"
)

// blockSize is how much one block sum covers, in bytes.
const blockSize = 64 << 10

// Sums are the sums of a file. The SHA-256 says whether it is the same; the others say where it is not.
type Sums struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	CRC32  string `json:"crc32"` // as zip files have it
	// Plain is the sum of all bytes, and Placed that of each byte times its place, from 1, both modulo 2^64. When one byte alone was
	// changed, the two differences say which, and what it was.
	Plain  string `json:"plain"`
	Placed string `json:"placed"`
	// Blocks are the first eight bytes of the SHA-256 of each 64 KiB, of a file that is longer than that.
	Blocks []string `json:"blocks,omitempty"`
}

// summer sums what is written to it.
type summer struct {
	size          int64
	whole, block  hash.Hash
	crc           uint32
	plain, placed uint64
	blocks        []string
	filled        int // of the block
}

func newSummer() *summer { return &summer{whole: sha256.New(), block: sha256.New()} }

// Write never fails.
func (s *summer) Write(p []byte) (int, error) {
	s.whole.Write(p)
	s.crc = crc32.Update(s.crc, crc32.IEEETable, p)
	plain, placed, at := s.plain, s.placed, uint64(s.size)
	for _, b := range p {
		at++
		plain += uint64(b)
		placed += uint64(b) * at
	}
	s.plain, s.placed, s.size = plain, placed, int64(at)
	for rest := p; len(rest) > 0; {
		n := min(len(rest), blockSize-s.filled)
		s.block.Write(rest[:n])
		rest, s.filled = rest[n:], s.filled+n
		if s.filled == blockSize {
			s.close()
		}
	}
	return len(p), nil
}

func (s *summer) close() {
	s.blocks = append(s.blocks, hex.EncodeToString(s.block.Sum(nil)[:8]))
	s.block.Reset()
	s.filled = 0
}

func (s *summer) sums() Sums {
	out := Sums{Size: s.size, SHA256: hex.EncodeToString(s.whole.Sum(nil)), CRC32: fmt.Sprintf("%08x", s.crc), Plain: fmt.Sprintf("%016x", s.plain),
		Placed: fmt.Sprintf("%016x", s.placed)}
	if s.size > blockSize {
		blocks := slices.Clone(s.blocks)
		if s.filled > 0 {
			blocks = append(blocks, hex.EncodeToString(s.block.Sum(nil)[:8]))
		}
		out.Blocks = blocks
	}
	return out
}

// sumsOf sums what a reader has.
func sumsOf(r io.Reader) (Sums, error) {
	s := newSummer()
	_, err := io.CopyBuffer(s, struct{ io.Reader }{r}, make([]byte, 1<<18))
	return s.sums(), err
}

func sumsOfBytes(b []byte) Sums {
	s := newSummer()
	_, _ = s.Write(b) // it never fails
	return s.sums()
}

// change is one byte that was changed.
type change struct {
	at       int64 // from 0
	was, now byte
}

// single returns the one byte by which what is there differs from what was summed, or false when there is more than one, or none. The
// SHA-256 of what is there with that byte as it was must be the one that was kept: it is no guess.
func single(want, got Sums, open func() io.Reader) (change, bool) {
	if want.Size != got.Size {
		return change{}, false
	}
	plain, placed := hex64(want.Plain), hex64(want.Placed)
	d, x := int64(hex64(got.Plain)-plain), int64(hex64(got.Placed)-placed)
	if d == 0 || x%d != 0 || d < -255 || d > 255 {
		return change{}, false
	}
	c := change{at: x/d - 1}
	if c.at < 0 || c.at >= want.Size {
		return change{}, false
	}
	s := newSummer()
	in := bufio.NewReaderSize(open(), 1<<18)
	if _, err := io.CopyN(s, in, c.at); err != nil {
		return change{}, false
	}
	b, err := in.ReadByte()
	if was := int64(b) - d; err != nil || was < 0 || was > 255 {
		return change{}, false
	}
	c.now, c.was = b, byte(int64(b)-d)
	_, _ = s.Write([]byte{c.was})
	if _, err := io.Copy(s, in); err != nil {
		return change{}, false
	}
	return c, s.sums().SHA256 == want.SHA256
}

func hex64(s string) uint64 {
	var n uint64
	_, _ = fmt.Sscanf(s, "%x", &n) // checked when the manifest was read
	return n
}

// where says in which bytes what is there differs from what was summed, when more than one does: from the first block that differs to
// the last.
func where(want, got Sums) (from, to int64) {
	if len(want.Blocks) == 0 || want.Size != got.Size || len(want.Blocks) != len(got.Blocks) {
		return 0, got.Size
	}
	first, last := -1, -1
	for i := range want.Blocks {
		if want.Blocks[i] != got.Blocks[i] {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return 0, got.Size
	}
	return int64(first) * blockSize, min(int64(last+1)*blockSize, got.Size)
}

// line returns the line and the column of a byte, from 1, in what a reader has.
func line(r io.Reader, at int64) (line, column int64) {
	line, column = 1, 1
	in := bufio.NewReaderSize(io.LimitReader(r, at), 1<<18)
	for {
		part, err := in.ReadSlice('\n')
		if bytes.HasSuffix(part, []byte("\n")) {
			line++
			column = 1
		} else {
			column += int64(len(part))
		}
		if err != nil && err != bufio.ErrBufferFull {
			return line, column
		}
	}
}
