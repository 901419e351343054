package report

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// growing is a record that grows.
type growing struct {
	dir string
	t   interface{ Fatal(...any) }
}

func (g growing) append(text string) {
	f, err := os.OpenFile(filepath.Join(g.dir, EventsFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		g.t.Fatal(err)
	}
}

func noteLine(t interface{ Fatal(...any) }, seq uint64, text string) string {
	data, err := json.Marshal(Note{Text: text})
	if err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(Event{Seq: seq, At: time.Unix(int64(seq), 0).UTC(), T: time.Duration(seq) * second, Kind: Noted, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return string(line) + "\n"
}

func followed(t interface{ Fatal(...any) }, dir string) *Follower {
	if err := os.WriteFile(filepath.Join(dir, PlanFile), []byte(`{"scenario":"checkout"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Follow(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFollowerWaits for the plan, for the first event, and for the end of a line.
func TestFollowerWaits(t *testing.T) {
	dir := t.TempDir()
	if _, err := Follow(dir); !errors.Is(err, ErrNotARecord) {
		t.Errorf("without a plan: %v", err)
	}
	f, g := followed(t, dir), growing{dir, t}
	defer f.Close()
	want := func(when string, seqs ...uint64) {
		t.Helper()
		events, err := f.Next()
		var got []uint64
		for _, e := range events {
			got = append(got, e.Seq)
		}
		if err != nil || len(got) != len(seqs) || len(got) > 0 && got[0] != seqs[0] {
			t.Errorf("%s: %v, %v; want %v", when, got, err, seqs)
		}
	}
	want("without an event")
	one, two, three := noteLine(t, 1, "a"), noteLine(t, 2, "b"), noteLine(t, 3, strings.Repeat("c", 300_000))
	g.append(one + two[:20])
	want("with half a line", 1)
	want("with nothing new")
	g.append(two[20:])
	want("with its rest", 2)
	g.append(three)
	want("with a long line", 3)
	g.append("{torn")
	want("with a torn end")
	if err := os.Truncate(filepath.Join(dir, EventsFile), int64(len(one+two+three))); err != nil {
		t.Fatal(err)
	}
	g.append(noteLine(t, 4, "d"))
	want("after the torn end was cut off", 4)
}

// TestFollowerStops at what Read refuses, and says where it is.
func TestFollowerStops(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"garbage":    {"nonsense\n", "record.jsonl:2: not an event"},
		"a gap":      {noteLine(t, 3, "c"), "record.jsonl:2: the event's number is 3, not 2"},
		"wrong data": {`{"seq":2,"at":"2026-11-29T10:00:00Z","t":1,"kind":"note","data":{"text":7}}` + "\n", `record.jsonl:2: event "note"`},
	} {
		f := followed(t, t.TempDir())
		g := growing{filepath.Dir(f.path), t}
		g.append(noteLine(t, 1, "a") + tt.text + noteLine(t, 2, "b"))
		events, err := f.Next()
		if len(events) != 1 || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %d events, %v; want one, and %q", name, len(events), err, tt.want)
		}
		if again, err2 := f.Next(); len(again) != 0 || err2 == nil || err2.Error() != err.Error() {
			t.Errorf("%s: asked again: %v, %v", name, again, err2)
		}
		_ = f.Close()
	}
	f := followed(t, t.TempDir())
	g := growing{filepath.Dir(f.path), t}
	g.append(noteLine(t, 1, "a"))
	if _, err := f.Next(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(f.path, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Next(); err == nil || !strings.Contains(err.Error(), "shorter than it was") {
		t.Errorf("a record that was cut: %v", err)
	}
	_ = f.Close()
}

// TestFollowerTellsWhatReadDoes: however a record comes onto disk, following it tells of the events that reading it does.
func TestFollowerTellsWhatReadDoes(t *testing.T) {
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		f := followed(t, dir)
		defer f.Close()
		var text strings.Builder
		n := rapid.IntRange(0, 30).Draw(t, "events")
		for i := range n {
			text.WriteString(noteLine(t, uint64(i+1), rapid.StringN(0, 40, -1).Draw(t, "text")))
		}
		rest := text.String()
		var got []Event
		for rest != "" {
			k := rapid.IntRange(1, len(rest)).Draw(t, "bytes")
			growing{dir, t}.append(rest[:k])
			rest = rest[k:]
			events, err := f.Next()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, events...)
		}
		rec, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(rec.Events) {
			t.Fatalf("followed %d events, read %d", len(got), len(rec.Events))
		}
		for i, e := range rec.Events {
			if e.Seq != got[i].Seq || string(e.Data) != string(got[i].Data) || !e.At.Equal(got[i].At) {
				t.Fatalf("event %d is followed as %v, read as %v", i, got[i], e)
			}
		}
	})
}
