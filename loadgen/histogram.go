package loadgen

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// The buckets of every Histogram: whole microseconds from 1 µs to 1 h, three significant digits, laid out as
// HdrHistogram lays them out. They are the same everywhere, which is what makes merging exact.
const (
	HistogramMin    = time.Microsecond
	HistogramMax    = time.Hour
	histogramDigits = 3

	// Three digits take 2,048 steps: below 2,048 µs there is a bucket for every microsecond, and above it 1,024 for each
	// doubling, as far as the hour.
	halfBits    = 10
	doublings   = 21
	bucketCount = (2 + doublings) << halfBits
)

// Histogram counts durations in buckets no wider than 0.1 % of their value (or 1 µs, below 2 ms). Recording takes a
// moment that does not depend on what was recorded; memory goes by how far apart the durations are. One that was read
// is kept in about a byte for each different bucket that was hit, until something is added to it. The zero value is
// empty and ready; reading a nil one reads an empty one. It is not safe for concurrent use, except for reads while
// nothing writes.
//
// Buckets, quantiles and encoding are those of HdrHistogram; docs/adr/0008 says why they are computed here.
type Histogram struct {
	packed packed  // what was read; nil when counts says it
	counts *counts // what is written to; nil until something is
}

// Record counts one duration. Durations under HistogramMin and over HistogramMax count as these.
func (h *Histogram) Record(d time.Duration) {
	d = min(max(d, HistogramMin), HistogramMax)
	h.data().add(bucketOf(uint64(d/HistogramMin)), 1)
}

// Merge adds what o counted. It is exact: merging histograms gives the same as recording everything into one.
func (h *Histogram) Merge(o *Histogram) {
	if o.Count() == 0 {
		return
	}
	if o.counts == nil {
		h.data().addPacked(o.packed)
		return
	}
	h.data().addCounts(o.counts)
}

// Clone returns an independent copy; of nil, an empty one.
func (h *Histogram) Clone() *Histogram {
	if h == nil {
		return &Histogram{}
	}
	c := &Histogram{packed: h.packed} // nothing ever writes to what is packed
	if h.counts != nil {
		c.counts = &counts{}
		c.counts.addCounts(h.counts)
	}
	return c
}

// Reset empties the histogram and keeps its memory.
func (h *Histogram) Reset() {
	h.packed = nil
	if h.counts != nil {
		h.counts.reset()
	}
}

// Compact gives back the memory that only recording needs.
func (h *Histogram) Compact() {
	if h == nil || h.counts == nil {
		return
	}
	h.packed, h.counts = h.pack(), nil
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 {
	switch {
	case h == nil:
		return 0
	case h.counts != nil:
		return h.counts.total
	}
	return h.packed.total()
}

// Quantile returns the upper edge of the bucket that holds the q-quantile, q from 0 to 1, by nearest rank: the
// duration of rank q·Count, rounded, and at least the first. It is 0 when nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := uint64(1)
	if r := min(q, 1)*float64(total) + 0.5; r >= 1 { // false for NaN, too
		rank = min(uint64(r), total)
	}
	var below uint64
	for bucket, n := range h.buckets {
		if below += n; below >= rank {
			return upperEdge(bucket)
		}
	}
	return 0
}

// Max returns the upper edge of the highest bucket hit, 0 when nothing was recorded.
func (h *Histogram) Max() time.Duration {
	last := -1
	for bucket := range h.buckets {
		last = bucket
	}
	if last < 0 {
		return 0
	}
	return upperEdge(last)
}

// Mean returns the arithmetic mean of the buckets' middles, 0 when nothing was recorded.
func (h *Histogram) Mean() time.Duration {
	total := float64(h.Count())
	var mean float64
	for bucket, n := range h.buckets {
		low, width := edges(bucket)
		mean += float64(n) * float64(low+width/2) / total
	}
	return time.Duration(mean * float64(HistogramMin))
}

// Equal reports whether both have counted the same. It makes histograms comparable in tests.
func (h *Histogram) Equal(o *Histogram) bool {
	return h.Count() == o.Count() && string(h.pack()) == string(o.pack())
}

// buckets calls yield with each bucket that was hit and how often, in ascending order.
func (h *Histogram) buckets(yield func(bucket int, n uint64) bool) {
	switch {
	case h == nil:
	case h.counts != nil:
		h.counts.each(yield)
	default:
		h.packed.each(yield)
	}
}

// data returns the counts for writing.
func (h *Histogram) data() *counts {
	if h.counts == nil {
		h.counts = &counts{}
		h.counts.addPacked(h.packed)
		h.packed = nil
	}
	return h.counts
}

// pack returns the counts in their small form.
func (h *Histogram) pack() packed {
	if h == nil || h.counts == nil && h.packed == nil {
		return nil
	}
	if h.counts == nil {
		return h.packed
	}
	p := packer{}
	for bucket, n := range h.counts.each {
		p.add(bucket, n)
	}
	return p.appendTo(nil)
}

// bucketOf returns the number of the bucket that holds a value in microseconds.
func bucketOf(v uint64) int {
	doubled := bits.Len64(v|(2<<halfBits-1)) - (halfBits + 1)
	return doubled<<halfBits + int(v>>doubled)
}

// edges returns the lowest value of a bucket and how many values it holds, in microseconds.
func edges(bucket int) (low, width uint64) {
	doubled := max(bucket>>halfBits-1, 0)
	return uint64(bucket-doubled<<halfBits) << doubled, 1 << doubled
}

// upperEdge returns the highest value of a bucket. The last bucket's is beyond the range, and is cut to it.
func upperEdge(bucket int) time.Duration {
	low, width := edges(bucket)
	return min(time.Duration(low+width-1)*HistogramMin, HistogramMax)
}

// A page is the counts of pageSize neighbouring buckets.
const (
	pageBits = 7
	pageSize = 1 << pageBits
)

type page [pageSize]uint64

// counts holds counts by bucket, with room for those pages only in which something was counted.
type counts struct {
	total uint64
	pages []*page
}

func (c *counts) add(bucket int, n uint64) {
	c.total += n
	c.page(bucket >> pageBits)[bucket%pageSize] += n
}

// page returns a page by its number, making it when it is not there.
func (c *counts) page(number int) *page {
	for len(c.pages) <= number {
		c.pages = append(c.pages, nil)
	}
	if c.pages[number] == nil {
		c.pages[number] = &page{}
	}
	return c.pages[number]
}

func (c *counts) addCounts(o *counts) {
	c.total += o.total
	for i, from := range o.pages {
		if from == nil {
			continue
		}
		to := c.page(i)
		for j := range from {
			to[j] += from[j]
		}
	}
}

// addPacked is add for each bucket of p. It is written out, because reading a long record is mostly this.
func (c *counts) addPacked(p packed) {
	total, i := binary.Uvarint(p)
	c.total += total
	var on *page
	bucket, number := -1, -1
	for i < len(p) {
		gap, n := uint64(p[i]), uint64(1)
		i++
		if gap >= 0x80 {
			gap, i = uvarintAt(p, i-1)
		}
		if gap&1 == 1 {
			n, i = uvarintAt(p, i)
		}
		bucket += int(gap>>1) + 1
		if j := bucket >> pageBits; j != number {
			on, number = c.page(j), j
		}
		on[bucket%pageSize] += n
	}
}

func (c *counts) each(yield func(bucket int, n uint64) bool) {
	for i, p := range c.pages {
		if p == nil {
			continue
		}
		for j, n := range p {
			if n != 0 && !yield(i<<pageBits+j, n) {
				return
			}
		}
	}
}

func (c *counts) reset() {
	c.total = 0
	for _, p := range c.pages {
		if p != nil {
			*p = page{}
		}
	}
}
