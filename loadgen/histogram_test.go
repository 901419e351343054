package loadgen

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"pgregory.net/rapid"
)

var durations = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
	return time.Duration(math.Exp(rapid.Float64Range(math.Log(1e3), math.Log(4e12)).Draw(t, "ln"))) // 1 µs to over 1 h
}), 0, 300)

func recorded(ds []time.Duration) *Histogram {
	h := &Histogram{}
	for _, d := range ds {
		h.Record(d)
	}
	return h
}

func TestHistogramMergeIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := durations.Draw(t, "a"), durations.Draw(t, "b")
		merged := recorded(a)
		other := recorded(b)
		merged.Merge(other)
		if one := recorded(slices.Concat(a, b)); !merged.Equal(one) {
			t.Fatalf("merged %d, recorded %d", merged.Count(), one.Count())
		}
		if !other.Equal(recorded(b)) {
			t.Fatal("merging changed what was merged")
		}
	})
}

func TestHistogramQuantileIsWithinOnePercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ds := durations.Filter(func(d []time.Duration) bool { return len(d) > 0 }).Draw(t, "durations")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		h := recorded(ds)
		slices.Sort(ds)
		rank := min(max(int(q*float64(len(ds))+0.5), 1), len(ds))
		want := min(ds[rank-1], time.Hour)
		got := h.Quantile(q)
		if off := (got - want).Abs(); off > want/100 && off > time.Microsecond {
			t.Fatalf("quantile %g is %s, want %s", q, got, want)
		}
		if top := min(ds[len(ds)-1], time.Hour); (h.Max() - top).Abs() > top/100+time.Microsecond {
			t.Fatalf("max is %s, want %s", h.Max(), top)
		}
	})
}

// library records the same durations with HdrHistogram's own implementation.
func library(ds []time.Duration) *hdrhistogram.Histogram {
	h := hdrhistogram.New(1, int64(HistogramMax/HistogramMin), histogramDigits)
	for _, d := range ds {
		_ = h.RecordValue(int64(min(max(d, HistogramMin), HistogramMax) / HistogramMin))
	}
	return h
}

// TestHistogramIsHdrHistogram holds buckets, answers and encoding to those of the library, bit for bit, whether a
// histogram is being written to or was read.
func TestHistogramIsHdrHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ds := durations.Draw(t, "durations")
		ours, theirs := recorded(ds), library(ds)
		if rapid.Bool().Draw(t, "compact") {
			ours.Compact()
		}
		for _, q := range []float64{0.01, 0.5, 0.9, 0.95, 0.99, 1, rapid.Float64Range(0.001, 1).Draw(t, "q")} {
			want := min(time.Duration(theirs.ValueAtPercentile(q*100))*HistogramMin, HistogramMax)
			// The library counts in percent, which may round the other way where a rank is a half.
			low, high := theirs.ValueAtPercentile(q*100*(1-1e-12)), theirs.ValueAtPercentile(q*100*(1+1e-12))
			if got := ours.Quantile(q); got != want && low == high {
				t.Fatalf("quantile %g of %d is %s, want %s", q, len(ds), got, want)
			}
		}
		if got := int64(ours.Mean() / time.Nanosecond); len(ds) > 0 && got != int64(theirs.Mean()*1000) {
			t.Errorf("the mean is %d, want %g", got, theirs.Mean()*1000)
		}
		if got, want := ours.Max(), time.Duration(theirs.Max())*HistogramMin; len(ds) > 0 && got != min(want, HistogramMax) {
			t.Errorf("the longest is %s, want %s", got, want)
		}
		back, err := hdrhistogram.Decode(compressed(ours.encode()))
		if err != nil || !back.Equals(theirs) {
			t.Fatalf("the library reads something else: %v", err)
		}
		text, err := theirs.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
		if err != nil {
			t.Fatal(err)
		}
		var read Histogram
		if err := read.UnmarshalJSON(quoted(text)); err != nil || !read.Equal(ours) {
			t.Fatalf("what the library wrote is read as %d of %d durations: %v", read.Count(), ours.Count(), err)
		}
	})
}

// compressed makes the compressed encoding of a plain one, which is what the library reads.
func compressed(plain []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write(plain)
	_ = z.Close()
	head := binary.BigEndian.AppendUint32(nil, cookieCompressed|cookieWords)
	head = binary.BigEndian.AppendUint32(head, uint32(b.Len()))
	return []byte(base64.StdEncoding.EncodeToString(append(head, b.Bytes()...)))
}

func quoted(text []byte) []byte { return slices.Concat([]byte(`"`), text, []byte(`"`)) }

// TestHistogramReadsEarlierTexts holds on to records written before the encoding was left uncompressed.
func TestHistogramReadsEarlierTexts(t *testing.T) {
	var h Histogram
	err := h.UnmarshalJSON([]byte(`"HISTFAAAAF942pJpmSzMwMBgxwABzFCaEURcm7yEwf4DRECWSZCJgYmXiRlMMjAx` +
		`MTBxsrCyyDOxM4myiDJxMikzqTOpM/EzcTJJM7EzMTBJMrEyKTK5Ml1nZEpkAgQAAP//wuAIIw=="`))
	if err != nil || h.Count() != 34 || h.Quantile(0.5) != 97*time.Microsecond || h.Max() != 444*time.Microsecond {
		t.Errorf("%d durations, half of them up to %s, all up to %s; %v", h.Count(), h.Quantile(0.5), h.Max(), err)
	}
}

func TestHistogramJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := recorded(durations.Draw(t, "durations"))
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var back Histogram
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(&back)
		if err != nil || string(again) != string(text) {
			t.Fatalf("%s, then %s (%v)", text, again, err)
		}
		back.Record(time.Second) // what was read can be added to
		h.Record(time.Second)
		if !back.Equal(h) {
			t.Fatal("what was read counts on differently")
		}
	})
}

func TestHistogramEdges(t *testing.T) {
	var none *Histogram
	if none.Count() != 0 || none.Quantile(0.5) != 0 || none.Max() != 0 || none.Mean() != 0 || !none.Equal(&Histogram{}) {
		t.Error("a nil histogram does not read as empty")
	}
	h := &Histogram{}
	h.Merge(none)
	h.Record(-time.Second)
	h.Record(48 * time.Hour)
	if h.Quantile(0) != time.Microsecond || h.Max() != time.Hour || h.Count() != 2 {
		t.Errorf("from %s to %s", h.Quantile(0), h.Max())
	}
	small := recorded([]time.Duration{3 * time.Millisecond, 4 * time.Millisecond})
	if text, _ := json.Marshal(small); len(text) > 120 {
		t.Errorf("two durations take %d bytes: %s", len(text), text)
	}
	if m := small.Mean(); (m - 3500*time.Microsecond).Abs() > 5*time.Microsecond {
		t.Errorf("the mean is %s", m)
	}
	small.Reset()
	if !small.Equal(none) {
		t.Error("reset does not empty")
	}
}

func TestHistogramRefuses(t *testing.T) {
	other := hdrhistogram.New(1, math.MaxInt64, 5)
	_ = other.RecordValue(1 << 50)
	foreign, err := other.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	good := recorded([]time.Duration{time.Millisecond}).encode()
	but := func(at int, b ...byte) string {
		raw := slices.Clone(good)
		copy(raw[at:], b)
		return base64.StdEncoding.EncodeToString(raw)
	}
	with := func(counts ...byte) string {
		raw := append(slices.Clone(good[:headerSize]), counts...)
		binary.BigEndian.PutUint32(raw[4:], uint32(len(counts)))
		return base64.StdEncoding.EncodeToString(raw)
	}
	encode := base64.StdEncoding.EncodeToString
	for what, bad := range map[string]string{
		"no base64": "x", "nothing in it": "AAAA", "zeros": encode(make([]byte, 60)), "other buckets": string(foreign),
		"too long":                 strings.Repeat("A", maxEncoded+1),
		"another cookie":           but(0, 0x1d),
		"another length":           but(7, 200),
		"two digits":               but(15, 2),
		"another lowest value":     but(23, 2),
		"another highest value":    but(31, 2),
		"a cut-off count":          with(0x80),
		"too many zeros":           with(binary.AppendVarint(nil, -bucketCount-1)...),
		"the most zeros":           with(binary.AppendVarint(nil, math.MinInt64)...),
		"a count after the last":   with(append(binary.AppendVarint(nil, -bucketCount), 2)...),
		"a count beyond any run":   with(binary.AppendVarint(nil, maxDecodedCount+1)...),
		"counts beyond any run":    with(append(binary.AppendVarint(nil, maxDecodedCount), 2)...),
		"compressed and cut off":   string(compressed(good)[:40]),
		"said to be compressed":    encode([]byte("\x1c\x84\x93\x14\x00\x00\x00\x04good")),
		"more than was compressed": encode([]byte("\x1c\x84\x93\x14\x00\x00\x00\x05good")),
	} {
		var h Histogram
		if err := h.UnmarshalJSON(quoted([]byte(bad))); err == nil {
			t.Errorf("%s: %.60s… was read as %d durations", what, bad, h.Count())
		}
	}
	var h Histogram
	if err := h.UnmarshalJSON([]byte("7")); err == nil {
		t.Error("a number was read as a histogram")
	}
	full := with(append(binary.AppendVarint(nil, 1-bucketCount), 2)...)
	if err := h.UnmarshalJSON([]byte(`"` + full + `"`)); err != nil || h.Max() != HistogramMax {
		t.Errorf("the last bucket alone is read as %s: %v", h.Max(), err)
	}
}

func FuzzHistogramDecode(f *testing.F) {
	for _, ds := range [][]time.Duration{nil, {time.Second}, {1, 2 * time.Millisecond, time.Hour}} {
		text, err := json.Marshal(recorded(ds))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add(quoted(compressed(recorded([]time.Duration{time.Second, time.Minute}).encode())))
	f.Add([]byte(`"HISTFAAAAB54nJNpmSzMAAMA"`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var h Histogram
		if h.UnmarshalJSON(text) != nil {
			return
		}
		h.Record(time.Second)
		if h.Count() == 0 || h.Count() > maxDecodedCount+1 || h.Max() < time.Second-time.Millisecond {
			t.Fatalf("%d durations up to %s", h.Count(), h.Max())
		}
	})
}

func BenchmarkHistogramRecord(b *testing.B) {
	h := &Histogram{}
	for i := range b.N {
		h.Record(time.Duration(1+i%1000) * 37 * time.Microsecond)
	}
}

func BenchmarkHistogramJSON(b *testing.B) {
	h := &Histogram{}
	for i := range 1000 {
		h.Record(time.Duration(1+i) * 37 * time.Microsecond)
	}
	for b.Loop() {
		if _, err := json.Marshal(h); err != nil {
			b.Fatal(err)
		}
	}
}
