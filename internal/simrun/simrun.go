// Package simrun writes the record of a run that never ran: a day of traffic with its faults, alarms, pages and
// answers, in seconds. It is for tests and measurements of what reads records.
//
// The record is made of the real types, written as a run writes them: what a generator counts is recorded request by
// request into its windows. The same Run writes the same bytes.
package simrun

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gameday/report"
)

// Run is what is simulated. The zero value is a day of three streams and a dozen faults.
type Run struct {
	Seed    uint64
	Length  time.Duration // of all phases, at least two minutes; 0 is 24 hours
	Streams []Stream      // none are Streams(1)
	Faults  int           // spread over the load phase; 0 is a dozen, -1 none
}

// Stream is one stream of traffic.
type Stream struct {
	Name    string
	Rate    float64       // 1x, iterations per second
	Median  time.Duration // of the service time; it is lognormal
	Offset  time.Duration // from the run's start to the begin of its seconds
	MaxVUs  int
	Failing float64 // share of its requests that fail while a fault stands
}

// multiple is that of every stream in the load phase.
const multiple = 3

// Streams returns three streams that send some 200 requests a second together, times a factor. Two of them begin their
// seconds so close together that their windows do not arrive in the order in which they begin, as happens.
func Streams(factor float64) []Stream {
	return []Stream{
		{"shoppers", 15 * factor, 38 * time.Millisecond, 310 * time.Millisecond, 120, 0.18},
		{"search", 25 * factor, 12 * time.Millisecond, 335 * time.Millisecond, 80, 0.05},
		{"partners", 27 * factor, 85 * time.Millisecond, 860 * time.Millisecond, 200, 0.11},
	}
}

// began is when every simulated run begins.
var began = time.Date(2026, 11, 20, 6, 0, 0, 0, time.FixedZone("", 3600))

// Write writes the record into a folder that is there and has none.
func (r Run) Write(dir string) error { return newStory(r).save(dir) }

// save writes the record.
func (s *story) save(dir string) (err error) {
	plan, err := json.MarshalIndent(s.plan, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, report.PlanFile), append(plan, '\n'), 0o644); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, report.EventsFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriterSize(f, 1<<20)
	if err := s.write(&lines{out: out}); err != nil {
		return fmt.Errorf("simulating a run: %w", err)
	}
	return out.Flush()
}

// write writes the events of the whole run in the order of their time.
func (s *story) write(to *lines) error {
	senders := make([]*sender, len(s.run.Streams))
	for i, stream := range s.run.Streams {
		senders[i] = newSender(s, stream, uint64(i))
	}
	slices.SortStableFunc(s.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	rest := s.events
	for second := range int(s.length / time.Second) {
		var arrived []event
		for _, sender := range senders {
			arrived = append(arrived, sender.second(second))
		}
		slices.SortStableFunc(arrived, func(a, b event) int { return cmp.Compare(a.at, b.at) })
		for _, w := range arrived {
			for len(rest) > 0 && rest[0].at <= w.at {
				if err := to.add(rest[0]); err != nil {
					return err
				}
				rest = rest[1:]
			}
			if err := to.add(w); err != nil {
				return err
			}
		}
	}
	for _, e := range rest {
		if err := to.add(e); err != nil {
			return err
		}
	}
	return nil
}

// event is one that is still to be numbered.
type event struct {
	at   time.Duration // since the run's start
	kind report.EventKind
	data any
}

// lines writes events as the lines of record.jsonl.
type lines struct {
	out *bufio.Writer
	seq uint64
}

func (l *lines) add(e event) error {
	data, err := json.Marshal(e.data)
	if err != nil {
		return fmt.Errorf("%s: %w", e.kind, err)
	}
	l.seq++
	line, err := json.Marshal(report.Event{Seq: l.seq, At: began.Add(e.at).UTC(), T: e.at, Kind: e.kind, Data: data})
	if err != nil {
		return fmt.Errorf("%s: %w", e.kind, err)
	}
	if _, err := l.out.Write(line); err != nil {
		return err
	}
	return l.out.WriteByte('\n')
}
