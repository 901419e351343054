package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gameday/loadgen"
)

// folder writes a plan and a record, each left out when nil.
func folder(t testing.TB, plan, events []byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{PlanFile: plan, EventsFile: events} {
		if data == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	goodPlan = `{"scenario":"s","phases":[],"traffic":[],"score":{"pass":80,"weights":null}}`
	line1    = `{"seq":1,"at":"2026-11-20T14:02:00+01:00","t":0,"kind":"run_started","data":{"run":"r"}}` + "\n"
	line2    = `{"seq":2,"at":"2026-11-20T14:02:01+01:00","t":1,"kind":"phase_started","data":{"phase":"load"}}` + "\n"
	strange  = `{"seq":2,"at":"2026-11-20T14:02:01+01:00","t":1,"kind":"from_the_future","data":[1]}` + "\n"
)

func TestRead(t *testing.T) {
	long := `{"seq":1,"kind":"note","data":{"text":"` + strings.Repeat("x", maxLine) + `"}}` + "\n"
	for _, c := range []struct {
		name, plan, events string
		count              int
		torn               bool
		fails              string // part of the error
	}{
		{"whole", goodPlan, line1 + line2, 2, false, ""},
		{"nothing happened", goodPlan, "", 0, false, ""},
		{"torn in the last line", goodPlan, line1 + line2[:40], 1, true, ""},
		{"only the last line's end is missing", goodPlan, line1 + strings.TrimSuffix(line2, "\n"), 2, false, ""},
		{"a kind from the future", goodPlan, line1 + strange, 2, false, ""},
		{"a kind from the future with fields", goodPlan, line1 + strings.Replace(strange, "[1]", `{"x":[1]}`, 1), 2,
			false, ""},
		{"a kind from the future without data", goodPlan, line1 + strings.Replace(strange, `,"data":[1]`, ``, 1), 2,
			false, ""},
		{"a kind from the future with garbage", goodPlan, line1 + strings.Replace(strange, "[1]", `{"x":}`, 1), 0, false,
			"record.jsonl:2: not an event"},
		{"a field from the future", goodPlan, line1 + strings.Replace(line2, `"t":1`, `"t":1,"x":{}`, 1), 2, false, ""},
		{"written by hand", goodPlan, line1 + ` { "kind" : "mark", "data":{}, "seq" :2 } ` + "\n", 2, false, ""},
		{"garbage in the middle", goodPlan, line1 + "}{\n" + line2, 0, false, "record.jsonl:2: not an event"},
		{"an empty line", goodPlan, line1 + "\n" + line2, 0, false, "record.jsonl:2: not an event"},
		{"a line is missing", goodPlan, line2, 0, false, "record.jsonl:1: the event's number is 2, not 1"},
		{"a line twice", goodPlan, line1 + line1, 0, false, "record.jsonl:2: the event's number is 1, not 2"},
		{"data of another shape", goodPlan, line1 + strings.Replace(line2, `{"phase":"load"}`, `"load"`, 1), 0, false,
			`record.jsonl:2: event "phase_started"`},
		{"no data", goodPlan, line1 + strings.Replace(line2, `,"data":{"phase":"load"}`, ``, 1), 0, false, "no data"},
		{"a line without end", goodPlan, line1 + long, 0, false, "record.jsonl:2: the line is longer than 16 MB"},
		{"no plan", "", line1, 0, false, "the plan is missing"},
		{"a broken plan", "{\n\"scenario\": 3\n}", line1, 0, false, "plan.json:2:"},
		{"a plan with half an expression", `{"expects":[{"id":"e","that":{"op":"<","args":[]}}]}`, line1, 0, false,
			`expectation "e"`},
		{"a plan without an expression", `{"expects":[{"id":"e"}]}`, line1, 0, false, `expectation "e" has no expression`},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := []byte(c.plan)
			if c.plan == "" {
				plan = nil
			}
			rec, err := Read(folder(t, plan, []byte(c.events)))
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("error %v, want one with %q", err, c.fails)
				}
				if plan == nil && !errors.Is(err, ErrNotARecord) {
					t.Fatalf("%v is not ErrNotARecord", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(rec.Events) != c.count || rec.Torn != c.torn {
				t.Fatalf("%d events, torn %v; want %d, %v", len(rec.Events), rec.Torn, c.count, c.torn)
			}
		})
	}
}

func TestReadWithoutEvents(t *testing.T) {
	rec, err := Read(folder(t, []byte(goodPlan), nil))
	if err != nil {
		t.Fatal(err)
	}
	if c := Score(rec); c.Verdict != Inconclusive || c.ExitCode() != 3 {
		t.Fatalf("a run that never began is %v, exit %d", c.Verdict, c.ExitCode())
	}
}

// TestTornAnywhere cuts the last line of a record after each of its bytes: that line is left out, and no other.
func TestTornAnywhere(t *testing.T) {
	b := newBuilder(t, checkoutPlan()).traffic("shoppers", 0, 2, steady(10))
	b.windows[1].Begin(second)
	window := func(w loadgen.Window, seq uint64) []byte {
		data, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		line, err := json.Marshal(Event{Seq: seq, At: began.UTC(), T: second, Kind: WindowClosed, Data: data})
		if err != nil {
			t.Fatal(err)
		}
		return append(line, '\n')
	}
	first, last := append([]byte(line1), window(b.windows[0], 2)...), window(b.windows[1], 3)
	for cut := range len(last) + 1 {
		want, torn := 1, cut > 0
		if cut >= len(last)-1 { // only the end of the line is missing, or nothing
			want, torn = 2, false
		}
		rec, err := Read(folder(t, []byte(goodPlan), slices.Concat(first, last[:cut])))
		if err != nil || len(rec.Events) != 1 || len(rec.Windows) != want || rec.Torn != torn {
			t.Fatalf("after %d of %d bytes: %+v, %v", cut, len(last), rec, err)
		}
	}
}

// TestReadLinks reads a record whose folder, and whose file, are links.
func TestReadLinks(t *testing.T) {
	dir := folder(t, []byte(goodPlan), []byte(line1+line2))
	moved := filepath.Join(t.TempDir(), "elsewhere.jsonl")
	link := filepath.Join(t.TempDir(), "link")
	file := filepath.Join(dir, EventsFile)
	for _, err := range []error{os.Rename(file, moved), os.Symlink(moved, file), os.Symlink(dir, link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if rec, err := Read(link); err != nil || len(rec.Events) != 2 {
		t.Fatalf("%+v, %v", rec, err)
	}
}

// TestWrittenLinesAreQuick checks that no line of this version is left to the slow way, and that both say the same.
func TestWrittenLinesAreQuick(t *testing.T) {
	b := failedRun(t).add(3, ReadingTaken, Reading{SLI: "queue_depth", Known: true, Value: 1.5e-7})
	for _, e := range b.record().Events {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := cutEvent(line, e.Seq)
		var want Event
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); !ok || d != "" {
			t.Fatalf("%.80s… (-encoding/json +quick):\n%s", line, d)
		}
		if _, ok := writtenReading(e.Data); ok != (e.Kind == ReadingTaken) {
			t.Errorf("a %s is a reading: %t", e.Kind, ok)
		}
	}
}

// FuzzLine checks that what is taken the quick way is what encoding/json reads.
func FuzzLine(f *testing.F) {
	for _, line := range []string{line1, line2, strange,
		`{"seq":1,"at":"2026-11-20T14:02:00Z","t":0,"kind":"reading","data":{"sli":"q","known":true,"value":1e3}}`,
		`{"seq":2,"at":"2026-11-20T14:02:00Z","t":5,"kind":"window","data":{"stream":"s","ok":{"count":1}}}`} {
		f.Add([]byte(strings.TrimSpace(line)))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		for number := range uint64(3) {
			quick := &reader{rec: &Record{}}
			if !quick.written(line, number) {
				continue
			}
			var e Event
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("this is no event: %v", err)
			}
			if e.Seq != number {
				t.Fatalf("number %d was taken for %d", e.Seq, number)
			}
			plain := &reader{rec: &Record{}}
			if err := plain.add(e); err != nil {
				t.Fatalf("its data is not of its kind: %v", err)
			}
			if d := cmp.Diff(plain.rec, quick.rec, cmp.AllowUnexported(Record{})); d != "" {
				t.Fatalf("(-encoding/json +quick):\n%s", d)
			}
			if e.Kind == ReadingTaken {
				want, _ := decode[Reading](e)
				if got, err := decodeReading(e); err != nil || got != want {
					t.Fatalf("a reading of %+v (%v), want %+v", got, err, want)
				}
			}
		}
	})
}

// FuzzRead checks that no folder makes reading, judging or printing panic, and that judging twice gives the same.
func FuzzRead(f *testing.F) {
	for _, build := range runs {
		b := build(f)
		plan, err := json.Marshal(b.plan)
		if err != nil {
			f.Fatal(err)
		}
		var lines bytes.Buffer
		var seq uint64
		for _, e := range b.record().Events {
			if e.Kind == WindowClosed && e.T.Seconds() > 3 {
				continue // seeds must be short to be mutated well
			}
			seq++
			e.Seq = seq
			line, err := json.Marshal(e)
			if err != nil {
				f.Fatal(err)
			}
			lines.Write(append(line, '\n'))
		}
		f.Add(plan, lines.Bytes())
	}
	f.Add([]byte(goodPlan), []byte(line1+line2))
	f.Add([]byte(goodPlan), []byte(line1+line2[:40]))
	f.Fuzz(func(t *testing.T, plan, events []byte) {
		rec, err := Read(folder(t, plan, events))
		if err != nil {
			return
		}
		if len(rec.Events) > 0 {
			first, last := rec.Events[0].At, rec.Events[len(rec.Events)-1].At
			if d := last.Sub(first); d.Hours() > 24 {
				return // a picture of years is drawn right, but not in a fuzzer's time
			}
		}
		one, two := render(t, rec), render(t, rec)
		if one != two {
			t.Fatal("the same record was judged twice and differs")
		}
	})
}

func render(t *testing.T, rec *Record) string {
	t.Helper()
	c := Score(rec)
	if !(c.Low >= 0 && c.Low <= c.High && c.High <= 100) {
		t.Fatalf("score %v–%v", c.Low, c.High)
	}
	var out bytes.Buffer
	if err := Text(&out, c, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := JSON(&out, c); err != nil {
		t.Fatal(err)
	}
	if err := JUnit(&out, c); err != nil {
		t.Fatal(err)
	}
	if err := HTML(&out, c); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
