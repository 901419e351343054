package simrun

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gameday/report"
)

// written returns the files of a simulated record, one after the other.
func written(t *testing.T, r Run) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, name := range []string{report.PlanFile, report.EventsFile} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

func TestTheSameRunIsTheSameRecord(t *testing.T) {
	r := Run{Seed: 7, Length: 3 * time.Minute, Streams: Streams(0.1), Faults: 3}
	one, two := written(t, r), written(t, r)
	if !bytes.Equal(one, two) {
		t.Error("the same run was written twice and differs")
	}
	r.Seed++
	if bytes.Equal(one, written(t, r)) {
		t.Error("another seed changes nothing")
	}
}

// TestGameDayHasSomethingOfEverything holds the game day of the pictures to what they are to show.
func TestGameDayHasSomethingOfEverything(t *testing.T) {
	dir, again := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, again} {
		if err := WriteGameDay(d); err != nil {
			t.Fatal(err)
		}
	}
	one, err := os.ReadFile(filepath.Join(dir, report.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(filepath.Join(again, report.EventsFile))
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("the same game day was written twice and differs: %v", err)
	}
	rec, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	card := report.Score(rec)
	if card.Verdict != report.Failed || !card.Safety.Clean {
		t.Errorf("%s, %+v: %v", card.Verdict, card.Safety, card.Why)
	}
	want := map[string]string{"response.on-call.acknowledge": "missed", "response.on-call.customers": "missed",
		"response.on-call.resolve": "unknown", "alarm.ReceiptsFailing.fired": "unknown", "noise": "missed"}
	for _, it := range card.Items() {
		outcome, told := want[it.ID]
		if !told {
			outcome = "met"
		}
		if delete(want, it.ID); it.Outcome.String() != outcome {
			t.Errorf("%s is %s, not %s: %s", it.ID, it.Outcome, outcome, it.Why)
		}
	}
	if len(want) > 0 {
		t.Errorf("no items %v", want)
	}
}

// TestWindowsOfASimulation checks what is simulated against what was asked for, and that windows come out of order.
func TestWindowsOfASimulation(t *testing.T) {
	dir := t.TempDir()
	r := Run{Length: 10 * time.Minute, Faults: -1, Streams: []Stream{
		{Name: "even", Rate: 20, Median: 40 * time.Millisecond, Offset: 300 * time.Millisecond, MaxVUs: 50},
		{Name: "odd", Rate: 5, Median: time.Millisecond, Offset: 310 * time.Millisecond, MaxVUs: 50}}}
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	rec, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Windows) != 2*600 || rec.Torn {
		t.Errorf("%d windows of two streams in ten minutes, torn %t", len(rec.Windows), rec.Torn)
	}
	last := rec.Windows[len(rec.Windows)-1]
	if last.Multiple != multiple || last.Due == 0 || last.Due != last.Started+last.Dropped || last.Requests != last.Started {
		t.Errorf("at the end: %+v", last)
	}
	text, err := os.ReadFile(filepath.Join(dir, report.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	swapped := 0
	previous := ""
	for line := range bytes.Lines(text) {
		for _, name := range []string{"even", "odd"} {
			if bytes.Contains(line, []byte(`"stream":"`+name+`"`)) {
				if name == "even" && previous == "even" || name == "odd" && previous == "odd" {
					swapped++
				}
				previous = name
			}
		}
	}
	if swapped == 0 {
		t.Error("the windows of two streams that begin together always come in the same order")
	}
	if err := r.Write(dir); err == nil {
		t.Error("a record was written over another")
	}
}
