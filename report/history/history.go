// Package history tells of all runs in a folder of records: one entry a run. Nothing in it depends on where the folder
// is, on what the records' folders are called, or on the times of files, so that runs may be kept in version control,
// as artefacts, or in a bucket that is mounted.
package history

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/clock"
	"gameday/report"
)

// Entry is one run in the history. Its JSON form is also what is remembered of a record beside it.
type Entry struct {
	Folder   string           `json:"folder"` // relative to the folder that was asked about, with slashes
	Run      string           `json:"run"`
	Scenario string           `json:"scenario"`
	Started  time.Time        `json:"started"`
	Length   time.Duration    `json:"length"` // nanoseconds
	End      report.EndReason `json:"end"`
	Verdict  report.Verdict   `json:"verdict"`
	Residue  bool             `json:"residue,omitempty"`
	Torn     bool             `json:"torn,omitempty"`   // the record's last line was cut off
	Search   bool             `json:"search,omitempty"` // it looked for the capacity, and has no verdict and no score
	Low      float64          `json:"low"`              // of the score
	High     float64          `json:"high"`
	// Capacity is in iterations a second; AtLeast says that the generator was the limit. Errors and P95, in seconds, are
	// those of all traffic in the load phase while no fault was felt. They are nil when they are unknown.
	Capacity *float64 `json:"capacity"`
	AtLeast  bool     `json:"capacity_at_least,omitempty"`
	Errors   *float64 `json:"error_ratio"`
	P95      *float64 `json:"p95"`
	TTD      []Time   `json:"ttd"` // of each expected alarm
	TTA      []Time   `json:"tta"` // of each response
	TTR      []Time   `json:"ttr"` // of each fault
	// Alarms are those that the run expected to fire, and Answers what it expected people to acknowledge, both with times as
	// intervals.
	Alarms  []Alarm  `json:"alarms,omitempty"`
	Answers []Answer `json:"answers,omitempty"`
	// Rules are the alerting rules of each source that told of them, by whether they fired.
	Rules []Rules `json:"rules,omitempty"`
	// Services are the targets that its faults were aimed at, by name.
	Services []string `json:"services,omitempty"`
}

// Alarm is what a run tells of one alarm that it expected to fire because of a fault.
type Alarm struct {
	Name   string        `json:"name"`
	Source string        `json:"source"`
	Fault  string        `json:"fault"`
	Fired  clock.Outcome `json:"fired"` // unknown when it could not be seen, or the fault never came
	// Took is from the onset of the fault to the firing, in nanoseconds; nil when it did not fire, or when that is not known.
	Took *clock.Latency `json:"took,omitempty"`
}

// Answer is what a run tells of one response: whether a human being acknowledged the page.
type Answer struct {
	Name  string        `json:"name"`
	Alarm string        `json:"alarm"`
	Fault string        `json:"fault"`
	Came  clock.Outcome `json:"came"` // met also of one that came late
	// Took is from the page to its acknowledgement, in nanoseconds; nil when there was none, or when that is not known.
	Took *clock.Latency `json:"took,omitempty"`
}

// Time is how long something took.
type Time struct {
	Of      string   `json:"of"`
	Seconds *float64 `json:"seconds"` // nil when it did not come about, or nobody knows
	Never   bool     `json:"never,omitempty"`
}

// Summarise takes an entry from a record. It keeps nothing of the record.
func Summarise(rec *report.Record) Entry {
	c := report.Score(rec)
	e := Entry{Search: rec.Plan.Search != nil, Run: c.Run, Scenario: c.Scenario, Started: c.Started, Length: c.Length,
		End: c.End, Verdict: c.Verdict,
		Residue: c.Residue, Torn: c.Torn, Low: c.Low, High: c.High}
	for _, f := range c.Figures() {
		t := Time{Of: f.Of, Never: f.State == report.FigureNever}
		if f.State == report.FigureSeen {
			t.Seconds = &f.Low
		}
		switch f.Yardstick {
		case report.TimeToDetect:
			e.TTD = append(e.TTD, t)
		case report.TimeToAck:
			e.TTA = append(e.TTA, t)
		case report.TimeToRecover:
			e.TTR = append(e.TTR, t)
		case report.MaxRate:
			if f.Of == "" {
				e.Capacity, e.AtLeast = t.Seconds, math.IsInf(f.High, 1)
			}
		}
	}
	e.Alarms, e.Answers = alarms(c), answers(c)
	e.Rules = rules(c)
	for _, f := range rec.Plan.Faults {
		e.Services = append(e.Services, f.Targets...)
	}
	slices.Sort(e.Services)
	e.Services = slices.Compact(e.Services)
	for _, l := range c.Levels() {
		if l.Name == string(report.Load) && !l.Fault {
			e.Errors, e.P95 = known(l, "error_ratio"), known(l, "p95")
		}
	}
	return e
}

func alarms(c *report.Scorecard) []Alarm {
	var out []Alarm
	for _, x := range c.Exercises() {
		out = append(out, Alarm{x.Alarm, x.Source, x.Cause, x.Fired, x.Took})
	}
	return out
}

func answers(c *report.Scorecard) []Answer {
	var out []Answer
	causes := map[string]string{}
	for _, a := range c.Plan().Alarms {
		causes[a.Name] = a.Cause
	}
	for _, r := range c.Plan().Responses {
		for _, it := range c.Items() {
			if it.ID != "response."+r.Name+".acknowledge" {
				continue
			}
			a := Answer{Name: r.Name, Alarm: r.To, Fault: causes[r.To]}
			if l, ok := it.Timed(); ok {
				a.Came, a.Took = clock.Met, &l
			} else if it.Outcome == clock.Missed {
				a.Came = clock.Missed
			}
			out = append(out, a)
		}
	}
	return out
}

func known(l *report.Levels, name string) *float64 {
	v, _, why := l.Read("", name)
	if why != "" {
		return nil
	}
	return &v
}

// Skipped is a folder that tells nothing, and why.
type Skipped struct {
	Folder string `json:"folder"`
	Why    string `json:"why"`
}

// NoRecord is why a folder tells nothing in which there is no record at all.
const NoRecord = "there is no record in it"

// Options say what is listed, and how.
type Options struct {
	Scenario string    // only its runs; empty for all
	Since    time.Time // only what began then or later
	Last     int       // only so many, the newest; 0 for all
	// Version is that of the program, on which what is remembered depends; empty to remember nothing.
	Version string
}

// mostReaders bounds how many records are read at once: each is wholly in memory while it is.
const mostReaders = 4

// List tells of the runs in a folder, the newest first. What cannot be told of is skipped, and never ends the list. An
// error says that the folder cannot be read.
func List(dir string, o Options) ([]Entry, []Skipped, error) {
	folders, foreign, err := report.Folders(dir)
	if err != nil {
		return nil, nil, err
	}
	var skipped []Skipped
	for _, f := range foreign {
		skipped = append(skipped, Skipped{relative(dir, f), NoRecord})
	}
	entries, errs := make([]*Entry, len(folders)), make([]error, len(folders))
	next := make(chan int)
	var readers sync.WaitGroup
	for range min(mostReaders, runtime.GOMAXPROCS(0), len(folders)) {
		readers.Go(func() {
			for i := range next {
				e, err := One(folders[i], o.Version)
				entries[i], errs[i] = &e, err
			}
		})
	}
	for i := range folders {
		next <- i
	}
	close(next)
	readers.Wait()
	var out []Entry
	for i, e := range entries {
		if errs[i] != nil {
			skipped = append(skipped, Skipped{relative(dir, folders[i]), errs[i].Error()})
			continue
		}
		if o.Scenario != "" && e.Scenario != o.Scenario || e.Started.Before(o.Since) {
			continue
		}
		e.Folder = relative(dir, folders[i])
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b Entry) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.Folder,
			b.Folder))
	})
	if o.Last > 0 && len(out) > o.Last {
		out = out[:o.Last]
	}
	return out, skipped, nil
}

// One tells of one record, by its folder. Folder in what it returns is empty. See Options.Version for version.
func One(folder, version string) (Entry, error) {
	e, err := entry(folder, version)
	if err != nil {
		return Entry{}, errors.New(strings.ReplaceAll(err.Error(), folder+string(filepath.Separator), ""))
	}
	return *e, nil
}

// entry tells of one record: from what is remembered beside it, else from the record itself.
func entry(folder, version string) (*Entry, error) {
	key, err := keyOf(folder, version)
	if err != nil {
		return nil, err
	}
	if e := remembered(folder, key); e != nil {
		return e, nil
	}
	rec, err := report.Read(folder)
	if err != nil {
		return nil, err
	}
	if len(rec.Events) == 0 {
		return nil, fmt.Errorf("nothing happened: %s is empty or missing", report.EventsFile)
	}
	e := Summarise(rec)
	if e.End != report.EndInterrupted { // else it may be going on
		remember(folder, key, &e)
	}
	return &e, nil
}

func relative(dir, folder string) string {
	rel, err := filepath.Rel(dir, folder)
	if err != nil {
		rel = folder
	}
	return filepath.ToSlash(rel)
}
