package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
