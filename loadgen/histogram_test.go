package loadgen

import (
	"encoding/base64"
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
	for _, bad := range []string{
		`7`, `"x"`, `"AAAA"`, `"` + string(foreign) + `"`, `"` + base64.StdEncoding.EncodeToString(make([]byte, 60)) + `"`,
		`"` + strings.Repeat("A", maxEncoded) + `"`,
	} {
		var h Histogram
		if err := h.UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%.40s… was read as %d durations", bad, h.Count())
		}
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
		h.text = ""
		if _, err := json.Marshal(h); err != nil {
			b.Fatal(err)
		}
	}
}
