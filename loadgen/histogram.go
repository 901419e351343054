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
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The buckets of every Histogram: whole microseconds from 1 µs to 1 h, three significant digits. They are the same
// everywhere, which is what makes merging exact.
const (
	HistogramMin    = time.Microsecond
	HistogramMax    = time.Hour
	histogramDigits = 3
)

const (
	// maxEncoded bounds the text of one histogram: every bucket filled takes less, uncompressed.
	maxEncoded = 1 << 19
	// maxDecodedCount bounds what a decoded histogram may claim to have counted, so that no sum of them overflows.
	maxDecodedCount = 1 << 50
)

// Histogram counts durations in buckets no wider than 0.1 % of their value (or 1 µs, below 2 ms). It is sparse: memory
// goes by the number of different buckets that were hit. The zero value is empty and ready; reading a nil one reads an
// empty one. It is not safe for concurrent use, except for reads while nothing writes.
type Histogram struct {
	packed *hdrhistogram.PackedHistogram
	text   string // the encoding, while nothing was recorded since it was made
}

// Record counts one duration. Durations under HistogramMin and over HistogramMax count as these.
func (h *Histogram) Record(d time.Duration) {
	d = min(max(d, HistogramMin), HistogramMax)
	// A clamped value is in range, so the only error left is a total beyond 2^63.
	_ = h.data().RecordValue(int64(d / HistogramMin))
}

// Merge adds what o counted. It is exact: merging histograms gives the same as recording everything into one.
func (h *Histogram) Merge(o *Histogram) {
	if o.Count() == 0 {
		return
	}
	h.data().Merge(o.packed)
}

// Clone returns an independent copy; of nil, an empty one.
func (h *Histogram) Clone() *Histogram {
	if h == nil || h.packed == nil {
		return &Histogram{}
	}
	return &Histogram{packed: h.packed.Clone(), text: h.text}
}

// Reset empties the histogram and keeps its memory.
func (h *Histogram) Reset() {
	h.text = ""
	if h.packed != nil {
		h.packed.Reset()
	}
}

// Compact gives back the memory that growing left over, and what was kept for writing the histogram again.
func (h *Histogram) Compact() {
	if h == nil {
		return
	}
	h.text = ""
	if h.packed != nil {
		h.packed.Compact()
	}
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 {
	if h == nil || h.packed == nil {
		return 0
	}
	return uint64(h.packed.TotalCount())
}

// Quantile returns the upper edge of the bucket that holds the q-quantile, q from 0 to 1, by nearest rank: the
// duration of rank q·Count, rounded, and at least the first. It is 0 when nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return h.duration(h.packed.ValueAtPercentile(q * 100))
}

// Max returns the upper edge of the highest bucket hit, 0 when nothing was recorded.
func (h *Histogram) Max() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return h.duration(h.packed.Max())
}

// Mean returns the arithmetic mean of the buckets' middles, 0 when nothing was recorded.
func (h *Histogram) Mean() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return time.Duration(h.packed.Mean() * float64(HistogramMin))
}

// duration turns a bucket's value into a duration; the last bucket's edge is beyond the range, and is cut to it.
func (h *Histogram) duration(v int64) time.Duration {
	return min(time.Duration(v)*HistogramMin, HistogramMax)
}

// data returns the counts for writing.
func (h *Histogram) data() *hdrhistogram.PackedHistogram {
	h.text = ""
	if h.packed == nil {
		h.packed = hdrhistogram.NewPacked(1, int64(HistogramMax/HistogramMin), histogramDigits)
	}
	return h.packed
}

// Equal reports whether both have counted the same. It makes histograms comparable in tests.
func (h *Histogram) Equal(o *Histogram) bool {
	if h.Count() != o.Count() {
		return false
	}
	return h.Count() == 0 || string(h.encode()) == string(o.encode())
}

// MarshalJSON writes the histogram as a string: base64 of the compressed V2 encoding of HdrHistogram, which other
// implementations read. An empty histogram is an empty string.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	if h == nil {
		return []byte("null"), nil
	}
	return json.Marshal(h.encode())
}

func (h *Histogram) encode() string {
	if h.Count() == 0 {
		return ""
	}
	if h.text != "" {
		return h.text
	}
	// Encode's error can only come from a writer in memory.
	b, _ := h.packed.Encode()
	return string(b)
}

// UnmarshalJSON reads what MarshalJSON writes. It refuses buckets other than ours, and allocates no more than a full
// histogram takes, whatever the text claims.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	if len(b) > maxEncoded {
		return fmt.Errorf("reading a histogram: %d bytes are more than any histogram takes", len(b))
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("reading a histogram: %w", err)
	}
	if text == "" {
		*h = Histogram{}
		return nil
	}
	if err := checkBuckets(text); err != nil {
		return fmt.Errorf("reading a histogram: %w", err)
	}
	p, err := hdrhistogram.DecodePacked([]byte(text))
	if err != nil {
		return fmt.Errorf("reading a histogram: %w", err)
	}
	if p.TotalCount() > maxDecodedCount {
		return errors.New("reading a histogram: its counts are beyond any run")
	}
	// A text of a histogram that never counted is kept as empty, so that it reads and writes as one.
	*h = Histogram{packed: p}
	if p.TotalCount() > 0 {
		h.text = text
	}
	return nil
}

// checkBuckets reads the header inside an encoding before the decoder does: the decoder allocates by the header's
// word, and buckets other than ours could not be merged exactly.
func checkBuckets(text string) error {
	const prefix, header = 8, hdrhistogram.ENCODING_HEADER_SIZE
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	if len(raw) < prefix {
		return errors.New("it is cut off")
	}
	z, err := zlib.NewReader(bytes.NewReader(raw[prefix:]))
	if err != nil {
		return err
	}
	head := make([]byte, header)
	if _, err := io.ReadFull(z, head); err != nil {
		return fmt.Errorf("its header: %w", err)
	}
	digits := binary.BigEndian.Uint32(head[12:])
	low := binary.BigEndian.Uint64(head[16:])
	high := binary.BigEndian.Uint64(head[24:])
	if digits != histogramDigits || low != 1 || high != uint64(HistogramMax/HistogramMin) {
		return fmt.Errorf("its buckets are not ours (from %d to %d µs with %d digits)", low, high, digits)
	}
	return nil
}
