package loadgen

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// plainly reads a window as encoding/json does, and leaves out what a Reader leaves out.
func plainly(data []byte) (Window, error) {
	var w Window
	err := json.Unmarshal(data, &w)
	w.OK.Service, w.Failed.Service = nil, nil
	return w, err
}

// strangeWindow is a window with anything in it that can be written.
func strangeWindow(t *rapid.T) Window {
	w := window(t)
	w.Stream = rapid.OneOf(rapid.SampledFrom([]string{"shoppers", "search", ""}), rapid.String()).Draw(t, "stream")
	zone := rapid.SampledFrom([]*time.Location{time.UTC, time.Local, time.FixedZone("", 3600),
		time.FixedZone("", -12600)}).Draw(t, "zone")
	seconds, rest := rapid.Int64Range(0, 4e9).Draw(t, "second"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanosecond")
	w.Start = time.Unix(seconds, rest).In(zone)
	multiples := rapid.OneOf(rapid.SampledFrom([]float64{0, 1, 3, 0.1}), rapid.Float64Range(-1e300, 1e300))
	w.Multiple = multiples.Draw(t, "multiple")
	w.Requests = rapid.Uint64().Draw(t, "requests")
	w.Generator.RunQueue = time.Duration(rapid.Int64().Draw(t, "run queue"))
	w.Generator.Cores = rapid.SampledFrom([]float64{0, 0.5, 1, 1.0 / 3, 64}).Draw(t, "cores")
	if rapid.Bool().Draw(t, "queue") {
		w.Begin(time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "delay")))
	}
	return w
}

// A Reader reads what encoding/json reads, also when its input is overwritten afterwards and other windows are read.
func TestReaderReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Reader
		var got, want []Window
		var data []byte
		for range rapid.IntRange(1, 5).Draw(t, "windows") {
			text, err := json.Marshal(strangeWindow(t))
			if err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 4).Draw(t, "blanks") == 0 {
				text = append([]byte{' '}, text...) // as good, and not as this version writes it
			}
			data = append(data[:0], text...)
			w, err := r.Read(data)
			if err != nil {
				t.Fatal(err)
			}
			p, err := plainly(text)
			if err != nil {
				t.Fatal(err)
			}
			got, want = append(got, w), append(want, p)
		}
		clear(data)
		if d := cmp.Diff(want, got, cmp.Comparer(func(a, b time.Time) bool {
			return a.Equal(b) && a.Format(time.RFC3339Nano) == b.Format(time.RFC3339Nano)
		})); d != "" {
			t.Fatal(d)
		}
	})
}

// What this version writes takes the quick way. A field that is added to Window and not to Reader fails here.
func TestReaderKnowsEveryField(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := window(t)
		w.Generator.Cores = rapid.SampledFrom([]float64{0, 0.5, 1, 1.0 / 3, 64}).Draw(t, "cores")
		w.Begin(time.Millisecond)
		text, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := new(Reader).written(text); !ok {
			t.Fatalf("not read as it is written: %s", text)
		}
	})
}

// TestReaderLeavesNoGarbage holds reading a window to less than one allocation: now and then room is made for many.
func TestReaderLeavesNoGarbage(t *testing.T) {
	w := Window{Stream: "shoppers", Start: time.Unix(1_800_000_000, 0).In(time.FixedZone("", 3600))}
	for i := range 100 {
		w.Begin(time.Duration(i*i) * time.Microsecond)
		w.OK.Record(time.Duration(i)*time.Millisecond, time.Second)
	}
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	var r Reader
	if n := testing.AllocsPerRun(10_000, func() {
		if _, err := r.Read(text); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%g allocations a window", n)
	}
}

func FuzzReader(f *testing.F) {
	for _, w := range []Window{{}, {Stream: "s", Start: time.Unix(1_800_000_000, 5).UTC(), Multiple: 1.5, Due: 7}} {
		w.Begin(time.Millisecond)
		w.Failed.Record(time.Second, time.Second)
		text, err := json.Marshal(w)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want, errWant := plainly(text)
		got, errGot := new(Reader).Read(text)
		if (errWant == nil) != (errGot == nil) {
			t.Fatalf("encoding/json says %v, a Reader %v", errWant, errGot)
		}
		if d := cmp.Diff(want, got); errWant == nil && d != "" {
			t.Fatal(d)
		}
	})
}
