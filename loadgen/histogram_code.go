package loadgen

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	// maxEncoded bounds the text of one histogram: every bucket filled takes less, uncompressed.
	maxEncoded = 1 << 19
	// maxDecodedCount bounds what a decoded histogram may claim to have counted, so that no sum of them overflows.
	maxDecodedCount = 1 << 50
)

// The V2 encoding of HdrHistogram begins with a cookie, of which four bits say how wide a word is and do not matter
// here. What is compressed has a cookie of its own and the compressed length before it.
const (
	cookiePlain      = 0x1c849303
	cookieCompressed = 0x1c849304
	cookieWords      = 0x10
	cookieMask       = 0xf0
	headerSize       = 40
	compressedHeader = 8
)

// MarshalJSON writes the histogram as a string: base64 of the V2 encoding of HdrHistogram, not compressed, which other
// implementations read. An empty histogram is an empty string.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	if h == nil {
		return []byte("null"), nil
	}
	text := []byte{'"'}
	if h.Count() > 0 {
		text = base64.StdEncoding.AppendEncode(text, h.encode())
	}
	return append(text, '"'), nil
}

// encode returns the V2 encoding: a header, and the counts of all buckets up to the last that was hit, where a negative
// number is a run of that many zeros.
func (h *Histogram) encode() []byte {
	b := make([]byte, headerSize, 8*headerSize)
	binary.BigEndian.PutUint32(b, cookiePlain|cookieWords)
	binary.BigEndian.PutUint32(b[12:], histogramDigits)
	binary.BigEndian.PutUint64(b[16:], 1)
	binary.BigEndian.PutUint64(b[24:], uint64(HistogramMax/HistogramMin))
	binary.BigEndian.PutUint64(b[32:], math.Float64bits(1)) // from counts to values
	next := 0
	for bucket, n := range h.buckets {
		switch zeros := bucket - next; {
		case zeros == 1:
			b = append(b, 0)
		case zeros > 1:
			b = binary.AppendVarint(b, int64(-zeros))
		}
		b = binary.AppendVarint(b, int64(n))
		next = bucket + 1
	}
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-headerSize))
	return b
}

// UnmarshalJSON reads what MarshalJSON writes, and the same compressed, as earlier versions wrote it. It refuses
// buckets other than ours, and allocates no more than a full histogram takes, whatever the text claims.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("reading a histogram: %w", err)
	}
	var d decoder
	if err := d.decode([]byte(text)); err != nil {
		return fmt.Errorf("reading a histogram: %w", err)
	}
	*h = Histogram{packed: d.appendTo(nil)}
	return nil
}

// decoder turns the text of a histogram into what is packed. It keeps its memory from one text to the next.
type decoder struct {
	packer
	raw      []byte
	inflated bytes.Buffer
	zip      io.ReadCloser
}

// decode reads one text; what is packed is then the packer's.
func (d *decoder) decode(text []byte) error {
	d.packer.reset()
	switch {
	case len(text) == 0:
		return nil
	case len(text) > maxEncoded:
		return fmt.Errorf("%d bytes are more than any histogram takes", len(text))
	}
	var err error
	if d.raw, err = base64.StdEncoding.AppendDecode(d.raw[:0], text); err != nil {
		return err
	}
	raw := d.raw
	if len(raw) >= compressedHeader && binary.BigEndian.Uint32(raw)&^cookieMask == cookieCompressed {
		if raw, err = d.inflate(raw); err != nil {
			return err
		}
	}
	if len(raw) < headerSize {
		return errors.New("it is cut off")
	}
	head, payload := raw[:headerSize], raw[headerSize:]
	if cookie := binary.BigEndian.Uint32(head); cookie&^cookieMask != cookiePlain {
		return fmt.Errorf("it is encoded in a way that is not known (%#x)", cookie)
	}
	if length := binary.BigEndian.Uint32(head[4:]); int64(length) != int64(len(payload)) {
		return fmt.Errorf("its counts take %d bytes, not %d", len(payload), length)
	}
	digits := binary.BigEndian.Uint32(head[12:])
	low, high := binary.BigEndian.Uint64(head[16:]), binary.BigEndian.Uint64(head[24:])
	if digits != histogramDigits || low != 1 || high != uint64(HistogramMax/HistogramMin) {
		return fmt.Errorf("its buckets are not ours (from %d to %d µs with %d digits)", low, high, digits)
	}
	return d.packer.payload(payload)
}

// inflate decompresses what follows a compressed header.
func (d *decoder) inflate(raw []byte) ([]byte, error) {
	length := binary.BigEndian.Uint32(raw[4:])
	if raw = raw[compressedHeader:]; int64(length) > int64(len(raw)) {
		return nil, errors.New("it is cut off")
	}
	from := bytes.NewReader(raw[:length])
	if d.zip == nil {
		z, err := zlib.NewReader(from)
		if err != nil {
			return nil, err
		}
		d.zip = z
	} else if err := d.zip.(zlib.Resetter).Reset(from, nil); err != nil {
		return nil, err
	}
	d.inflated.Reset()
	if _, err := io.Copy(&d.inflated, io.LimitReader(d.zip, maxEncoded)); err != nil {
		return nil, err
	}
	return d.inflated.Bytes(), nil
}

// packed is a histogram in its small form: how much was counted, then for each bucket that was hit how many were not
// since the one before, doubled, and its count. A count of one is left out; an odd number says that one follows.
type packed []byte

// total returns how much was counted.
func (p packed) total() uint64 {
	n, _ := binary.Uvarint(p)
	return n
}

func (p packed) each(yield func(bucket int, n uint64) bool) {
	_, i := binary.Uvarint(p)
	bucket := -1
	for i < len(p) {
		var gap uint64
		gap, i = uvarintAt(p, i)
		n := uint64(1)
		if gap&1 == 1 {
			n, i = uvarintAt(p, i)
		}
		bucket += int(gap>>1) + 1
		if !yield(bucket, n) {
			return
		}
	}
}

// uvarintAt returns the number at an index and the index after it. It trusts that there is one.
func uvarintAt(b []byte, i int) (uint64, int) {
	v, n := binary.Uvarint(b[i:])
	return v, i + n
}

// packer puts a packed histogram together.
type packer struct {
	total uint64
	next  int // the bucket after the last one
	body  []byte
}

func (p *packer) reset() { p.total, p.next, p.body = 0, 0, p.body[:0] }

// add counts n in a bucket after the last one.
func (p *packer) add(bucket int, n uint64) {
	p.body = appendCount(p.body, uint64(bucket-p.next), n)
	p.total += n
	p.next = bucket + 1
}

// appendTo appends the histogram to room; nothing when nothing was counted.
func (p *packer) appendTo(room []byte) []byte {
	if p.total == 0 {
		return room
	}
	return append(binary.AppendUvarint(room, p.total), p.body...)
}

// payload packs the counts of a V2 encoding. It is add written out, because reading a long record is mostly this.
func (p *packer) payload(b []byte) error {
	body, total, next := p.body, p.total, uint64(p.next)
	at := uint64(0) // the bucket that comes next in b
	for i := 0; i < len(b); {
		// Zigzag: an odd number is negative.
		v := uint64(b[i])
		i++
		if v >= 0x80 {
			var n int
			if v, n = binary.Uvarint(b[i-1:]); n <= 0 {
				return errors.New("its counts are cut off")
			}
			i += n - 1
		}
		n := v >> 1
		if n >= bucketCount-at && (v&1 == 1 || at == bucketCount) {
			return errors.New("it has more buckets than there are")
		}
		if v&1 == 1 || n == 0 { // zeros, one more than n
			at += n + 1
			continue
		}
		if n > maxDecodedCount-total {
			return errors.New("its counts are beyond any run")
		}
		total += n
		body = appendCount(body, at-next, n)
		at++
		next = at
	}
	p.body, p.total, p.next = body, total, int(next)
	return nil
}

// appendCount appends a bucket after a gap of some that were not hit.
func appendCount(body []byte, gap, n uint64) []byte {
	switch gap <<= 1; {
	case n > 1:
		return binary.AppendUvarint(binary.AppendUvarint(body, gap|1), n)
	case gap < 0x80:
		return append(body, byte(gap))
	}
	return binary.AppendUvarint(body, gap)
}
