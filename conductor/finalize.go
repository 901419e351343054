package conductor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/report"
	"gameday/responders"
	"gameday/scenarios"
)

// Asked is what came of asking one source again about a run that is over.
type Asked struct {
	Source string
	Seen   int  // episodes or events
	Kept   bool // its answer is in the record now
	// Why says why it is not: it does not answer, or knows less than the record does.
	Why string
}

// finalSpan is for how long after its last deadline a run is asked about.
const finalSpan = time.Minute

// Finalize asks the sources of a run that is over for its whole time once more, and for the time since, as far as the
// deadlines of its plan go, and adds what they answer to the record in dir. An answer that covers less of the run than what
// the record has is left out: it would make something unknown that is known. s are the sources, from the scenario that was
// run; its faults must be those of the record. A last line that was cut off is taken away. An error means that the record is
// as it was.
func Finalize(ctx context.Context, dir string, s *scenarios.Scenario) ([]Asked, error) {
	f, err := openRecord(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := lockRecord(ctx, f); err != nil {
		return nil, fmt.Errorf("locking the record: %w: its run is still writing it, or somebody else is finalizing it", err)
	}
	rec, err := report.Read(dir)
	if err != nil {
		return nil, err
	}
	if s.Name != rec.Plan.Scenario {
		return nil, fmt.Errorf("the record is that of scenario %q, and this is %q: its sources may be others", rec.Plan.Scenario, s.Name)
	}
	if _, err := rec.Under(MakePlan(s)); err != nil {
		return nil, err
	}
	more, asked, err := ask(ctx, rec, s)
	if err != nil {
		return nil, err
	}
	return asked, extend(f, rec, more, s.Redact)
}

// MarkAfter puts a mark into the record of a run that is over, and says so in words. It counts from now. An error means that the
// record is as it was. ctx ends the wait for somebody else who writes the record.
func MarkAfter(ctx context.Context, dir string, m report.Mark) (string, error) {
	if strings.TrimSpace(m.Name) == "" {
		return "", errNameless
	}
	f, err := openRecord(dir)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := lockRecord(ctx, f); err != nil {
		return "", fmt.Errorf("locking the record: %w: its run is still writing it, or somebody else is", err)
	}
	rec, err := report.Read(dir)
	if err != nil {
		return "", err
	}
	m.After = true
	if err := extend(f, rec, []answer{{report.Marked, m}}, func(s string) string { return s }); err != nil {
		return "", err
	}
	return fmt.Sprintf("marked %q, in the record of a run that is over; `gameday report %s` scores it again", m.Name, dir), nil
}

// answer is an event that is to be added to a record.
type answer struct {
	kind report.EventKind
	data any
}

// ask asks every source that can be opened again.
func ask(ctx context.Context, rec *report.Record, s *scenarios.Scenario) (more []answer, asked []Asked, err error) {
	tl := report.NewTimeline(rec)
	span := clock.Span{Start: tl.Start, End: tl.End.Add(longestDeadline(rec.Plan) + finalSpan)}
	if now := time.Now(); now.Before(span.End) {
		span.End = now
	}
	var opened []any
	defer func() {
		for _, src := range opened {
			_ = release(src) // it listens to nothing: that is begun with Start, or with Watch
		}
	}()
	for _, decl := range s.AlarmSources {
		if decl.Rules != nil || tl.Started.Lab {
			continue // its rules were gameday's own, and ended with it; and so did all that was in a lab
		}
		src, err := decl.Kind.Open(decl.ID(), decl.Config, besides(s, decl.ID()))
		if err != nil {
			return nil, nil, fmt.Errorf("opening %s: %w", decl.ID(), err)
		}
		if _, here := src.(alarms.Server); here {
			continue // what it was told ended with the run
		}
		opened = append(opened, src)
		if kept, one := askAlarms(ctx, tl, s, decl, src, span); one.Kept {
			more, asked = append(more, answer{report.AlarmHistory, kept}), append(asked, one)
		} else {
			asked = append(asked, one)
		}
	}
	for _, decl := range s.Responders {
		src, err := decl.Kind.Open(decl.ID(), decl.Config)
		if err != nil {
			return nil, nil, fmt.Errorf("opening %s: %w", decl.ID(), err)
		}
		opened = append(opened, src)
		_, here := src.(responders.Server)
		_, lasting := src.(responders.Lasting)
		if here || tl.Started.Lab && !lasting {
			continue // what it knew ended with the run, or with its lab
		}
		if e, ok := src.(responders.Expecter); ok {
			e.Expect(matches(s, decl.ID()))
		}
		if kept, one := askResponders(ctx, tl, decl, src, span); one.Kept {
			more, asked = append(more, answer{report.ResponseRecord, kept}), append(asked, one)
		} else {
			asked = append(asked, one)
		}
	}
	return more, asked, nil
}

// askAlarms asks one source of alarms, and says whether its answer is to be kept.
func askAlarms(ctx context.Context, tl *report.Timeline, s *scenarios.Scenario, decl scenarios.AlarmSource, src alarms.Source, span clock.Span) (report.AlarmRecord, Asked) {
	limited, cancel := context.WithTimeout(ctx, tellLimit)
	defer cancel()
	// It tells of what it knows to be expected only. What it finds wrong now is not the run's.
	_, _ = src.Preflight(limited, expectedOf(s, decl.ID()))
	episodes, coverage, err := src.History(limited, span)
	coverage.Spans = tl.NotBroken(decl.ID(), coverage.Spans)
	a, blind := tl.CompleteAlarms(report.AlarmRecord{Source: decl.ID(), Span: span, Episodes: episodes, Coverage: coverage})
	one := judgeAnswer(decl.ID(), len(episodes), err, clock.Share(coverage.Spans, clock.Span{Start: tl.Start, End: tl.End}), tl.AlarmCoverage(decl.ID()))
	if lost := tl.LostAlarms(decl.ID(), episodes); one.Kept && lost != "" {
		one.Kept, one.Why = false, "it does not tell of "+lost+" any more, which the record has"
	}
	one.refuse(blind, a)
	return a, one
}

// askResponders is askAlarms for a source of responses.
func askResponders(ctx context.Context, tl *report.Timeline, decl scenarios.ResponderSource, src responders.Source, span clock.Span) (report.ResponseAccount, Asked) {
	limited, cancel := context.WithTimeout(ctx, tellLimit)
	defer cancel()
	events, coverage, err := src.History(limited, span)
	a, blind := tl.CompleteResponses(report.ResponseAccount{Source: decl.ID(), Span: span, Events: events, Coverage: coverage})
	now, before := clock.Share(coverage.Spans, clock.Span{Start: tl.Start, End: tl.End}), tl.ResponseCoverage(decl.ID())
	one := judgeAnswer(decl.ID(), len(events), err, now, before)
	if had := tl.ResponseEvents(decl.ID()); one.Kept && len(a.Events) < had && now <= before {
		one.Kept, one.Why = false, fmt.Sprintf("it tells of %d events, and the record has %d", len(events), had)
	}
	one.refuse(blind, a)
	return a, one
}

// refuse leaves out an answer that is blind to what the record is not, or that no record can hold.
func (a *Asked) refuse(blind string, account any) {
	switch {
	case !a.Kept:
	case blind != "":
		a.Kept, a.Why = false, fmt.Sprintf("it cannot tell any more what was %s, and the record does", blind)
	case tooLong(account):
		a.Kept, a.Why = false, errTooLong.Error()
	}
}

// besides are the labels of alarms that a source tells of too: what counts as noise, and what would be a real incident.
func besides(s *scenarios.Scenario, id string) map[string]string {
	match, _ := s.Beside(id) // a scenario in which that cannot be said does not load
	return match
}

// judgeAnswer decides whether an answer is worth more than what the record has; both by their share of the run.
func judgeAnswer(source string, seen int, err error, now, before float64) Asked {
	a := Asked{Source: source, Seen: seen}
	switch {
	case err != nil:
		a.Why = err.Error()
	case now+1e-3 < before:
		a.Why = fmt.Sprintf("it tells of %.0f %% of the run now, and the record has %.0f %%", 100*now, 100*before)
	default:
		a.Kept = true
	}
	return a
}

// longestDeadline returns the longest time after the end of a run in which something may still be kept.
func longestDeadline(p *report.Plan) time.Duration {
	longest := time.Duration(0)
	for _, a := range p.Alarms {
		longest = max(longest, 2*a.FiresWithin, 2*a.PagesWithin, a.ClearsWithin)
	}
	page := longest
	for _, r := range p.Responses {
		for _, d := range r.Deadlines() {
			longest = max(longest, page+d.Within)
		}
	}
	return longest
}

// extend adds events to a record that is over.
func extend(f *os.File, rec *report.Record, more []answer, redact func(string) string) error {
	if len(more) == 0 {
		return nil
	}
	whole, lines, err := intact(f)
	if err != nil {
		return fmt.Errorf("reading the record: %w", err)
	}
	start, now := report.NewTimeline(rec).Start, time.Now()
	var text bytes.Buffer
	if info, err := f.Stat(); err != nil {
		return fmt.Errorf("reading the record: %w", err)
	} else if info.Size() > whole && !rec.Torn { // a last line that lacks nothing but its end
		text.WriteByte('\n')
		lines++
	}
	for i, a := range more {
		data, err := json.Marshal(a.data)
		if err != nil {
			return fmt.Errorf("recording %s: %w", a.kind, err)
		}
		line, err := json.Marshal(report.Event{Seq: lines + uint64(i) + 1, At: now.UTC().Round(0), T: now.Sub(start), Kind: a.kind,
			Data: redactStrings(data, redact)})
		if err != nil {
			return fmt.Errorf("recording %s: %w", a.kind, err)
		}
		text.Write(append(line, '\n'))
	}
	if rec.Torn {
		if err := f.Truncate(whole); err != nil {
			return fmt.Errorf("taking away the record's last line, which was cut off: %w", err)
		}
	}
	if _, err := f.Write(text.Bytes()); err != nil { // nothing may be left of half of it
		return errors.Join(fmt.Errorf("writing the record: %w", err), f.Truncate(whole))
	}
	return f.Sync()
}

// intact returns the length of a record up to the end of its last whole line, and how many lines that is.
func intact(f *os.File) (length int64, lines uint64, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, 0, err
	}
	part, at := make([]byte, 1<<20), int64(0)
	for {
		n, err := f.Read(part)
		lines += uint64(bytes.Count(part[:n], []byte("\n")))
		if i := bytes.LastIndexByte(part[:n], '\n'); i >= 0 {
			length = at + int64(i) + 1
		}
		at += int64(n)
		if errors.Is(err, io.EOF) {
			return length, lines, nil
		}
		if err != nil {
			return 0, 0, err
		}
	}
}

// String says in words what came of it.
func (a Asked) String() string {
	if a.Kept {
		return fmt.Sprintf("%s: %d seen, kept", a.Source, a.Seen)
	}
	return strings.TrimSpace(a.Source + ": left out: " + a.Why)
}

// openRecord opens the record in dir for adding to it. A copy takes no more: it may be where nothing can be added, and its digests are
// those of what was copied.
func openRecord(dir string) (*os.File, error) {
	if report.IsCopy(dir) {
		var begun report.Begun
		where := ""
		if report.ReadMark(filepath.Join(dir, report.BegunMark), &begun) == nil {
			where = fmt.Sprintf(" (%s on %s)", begun.From, begun.Host)
		}
		return nil, fmt.Errorf("%s is a copy, to which nothing is added: do it to the record itself%s, and copy that to another folder", dir, where)
	}
	f, err := os.OpenFile(filepath.Join(dir, report.EventsFile), os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the record: %w", err)
	}
	return f, nil
}
