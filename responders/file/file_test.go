package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// exercise is the log of a game day: a page that a person acknowledged, late.
const exercise = `{"page":"1","kind":"opened","at":"2026-11-20T14:03:00Z","actor":"integration","labels":{"alertname":"Down"}}
{"page":"1","kind":"notified","at":"2026-11-20T14:03:02Z","level":1,"targets":["ann"],"delivered":"yes"}

{"page":"1","kind":"acknowledged","at":"2026-11-20T14:05:02Z","by":"ann","actor":"human","grade":"A"}
{"kind":"marked","at":"2026-11-20T14:06:00Z","by":"fay","actor":"human","text":"bridge opened"}
{"complete":{"from":"2026-11-20T14:00:00Z","to":"2026-11-20T14:10:00Z"}}
`

// written returns a source whose file has a text.
func written(t *testing.T, text string, change ...func(*Config)) *Source {
	t.Helper()
	c := Config{Path: filepath.Join(t.TempDir(), "log.jsonl")}
	for _, f := range change {
		f(&c)
	}
	if err := os.WriteFile(c.Path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New("file.exercise", c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var hour = clock.Span{Start: time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC), End: time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)}

func TestHistory(t *testing.T) {
	s := written(t, exercise+`{"page":"1","kind":"res`, func(c *Config) { c.Automation = []string{"fay"} })
	events, c, err := s.History(t.Context(), hour)
	if err != nil || len(events) != 4 {
		t.Fatalf("%+v, %v", events, err)
	}
	at := func(m, s int) clock.Interval {
		return clock.At(hour.Start.Add(time.Duration(m*60+s) * time.Second)).Widen(time.Second)
	}
	for i, want := range []responders.Event{
		{ID: "line 1", Page: "1", Kind: responders.Opened, At: at(3, 0), Actor: responders.Actor{Kind: responders.Integration}, Grade: "D"},
		{ID: "line 2", Page: "1", Kind: responders.Notified, At: at(3, 2), Actor: responders.Actor{Kind: responders.UnknownKind}, Grade: "D", Level: 1, Delivered: "yes"},
		{ID: "line 4", Page: "1", Kind: responders.Acknowledged, At: at(5, 2), Actor: responders.Actor{ID: "ann", Kind: responders.Human}, Grade: "A"},
		{ID: "line 5", Kind: responders.Marked, At: at(6, 0), Actor: responders.Actor{ID: "fay", Kind: responders.Bot}, Grade: "D"},
	} {
		e := events[i]
		if e.ID != want.ID || e.Page != want.Page || e.Kind != want.Kind || e.At != want.At || e.Actor != want.Actor || e.Grade != want.Grade ||
			e.Level != want.Level || e.Delivered != want.Delivered || e.Page != "" && e.Labels["alertname"] != "Down" {
			t.Errorf("%d: %+v", i, e)
		}
	}
	// Complete for ten minutes less the clock's error at either end, and the file says nothing of the rest.
	if got := clock.Share(c.Spans, hour); got != (10*time.Minute-2*time.Second).Seconds()/3600 || len(c.Why) != 1 {
		t.Errorf("covered %v, %q", got, c.Why)
	}
	if events, _, _ := s.History(t.Context(), clock.Span{Start: hour.Start.Add(4 * time.Minute), End: hour.End}); len(events) != 2 {
		t.Errorf("from the fourth minute on: %+v", events)
	}
}

func TestLinesThatAreWrong(t *testing.T) {
	open := `{"page":"1","kind":"opened","at":"2026-11-20T14:03:00Z","labels":{"alertname":"Down"}}` + "\n"
	for text, want := range map[string]string{
		`{"page":"1"`: "log.jsonl:2: not an event",
		`{"page":"1","kind":"opened","wen":"now"}`:                                       `unknown field "wen"`,
		`{"page":"1","kind":"closed","at":"2026-11-20T14:03:00Z"}`:                       `"closed" is no kind of event`,
		`{"page":"1","kind":"resolved"}`:                                                 "has no time",
		`{"kind":"resolved","at":"2026-11-20T14:03:00Z"}`:                                "has no page",
		`{"page":"2","kind":"resolved","at":"2026-11-20T14:03:00Z"}`:                     `page "2" has no labels yet`,
		`{"page":"1","kind":"resolved","at":"2026-11-20T14:03:00Z","actor":"dog"}`:       "no kind of actor",
		`{"page":"1","kind":"acknowledged","at":"2026-11-20T14:03:00Z","actor":"human"}`: "has a name",
		`{"page":"1","kind":"resolved","at":"2026-11-20T14:03:00Z","grade":"E"}`:         "no grade",
		`{"page":"1","kind":"notified","at":"2026-11-20T14:03:00Z","delivered":"maybe"}`: "yes, no or unknown",
		`{"kind":"marked","at":"2026-11-20T14:03:00Z"}`:                                  "a mark has a name",
		`{"complete":{"from":"2026-11-20T14:03:00Z","to":"2026-11-20T14:03:00Z"}}`:       "to a later one",
		`{"page":"1","kind":"resolved","at":"2026-11-20T14:03:00Z"} {"page":"1"}`:        "after it",
	} {
		s := written(t, open+text+"\n")
		if _, _, err := s.History(t.Context(), hour); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		found, err := s.Preflight(t.Context())
		if err != nil || len(found) != 1 || !found[0].Blocks {
			t.Errorf("%s beforehand: %+v, %v", text, found, err)
		}
	}
}

func TestNotThereYet(t *testing.T) {
	s := written(t, "")
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Preflight(t.Context()); err != nil || len(found) != 1 || found[0].Blocks {
		t.Errorf("%+v, %v", found, err)
	}
	events, c, err := s.History(t.Context(), hour)
	if err != nil || len(events) != 0 || len(c.Spans) != 0 || len(c.Why) != 1 {
		t.Errorf("%+v, %+v, %v", events, c, err)
	}
	s.path = filepath.Join(t.TempDir(), "none", "log.jsonl")
	if found, _ := s.Preflight(t.Context()); len(found) != 1 || !found[0].Blocks {
		t.Errorf("without its folder: %+v", found)
	}
	s.path = t.TempDir()
	if _, _, err := s.History(t.Context(), hour); err == nil {
		t.Error("a folder was read")
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{{}, {Path: "x", Error: "soon"}, {Path: "x", Error: "-1s"}, {Path: "x", Grade: "E"}} {
		if c.Validate() == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	if err := (Config{Path: "x", Error: "0s", Grade: "B"}).Validate(); err != nil {
		t.Error(err)
	}
}

// FuzzLines reads anything: what it takes for an event is about something, and has an instant, an actor and a grade.
func FuzzLines(f *testing.F) {
	f.Add([]byte(exercise))
	f.Add([]byte(`{"complete":{"from":"2026-11-20T14:00:00Z","to":"9999-11-20T14:10:00Z"}}` + "\n"))
	s, err := New("file.exercise", Config{Path: "log.jsonl"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, whole, err := s.parse(text)
		if whole > len(text) {
			t.Errorf("%d of %d bytes were read", whole, len(text))
		}
		if err != nil {
			return
		}
		for _, e := range p.events {
			if e.ID == "" || e.At.IsZero() || e.Actor.Kind == "" || e.Grade == "" || e.Page != "" && len(e.Labels) == 0 {
				t.Errorf("%+v", e)
			}
		}
	})
}
