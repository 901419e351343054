package report

import (
	"cmp"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/faults"
	"gameday/responders"
)

// Timeline is what happened in a run, put together from its events. It holds no judgement.
type Timeline struct {
	Start, End time.Time // the first event and the last instant that anything in the record speaks of
	Started    Started
	Ended      *Ended // nil when gameday was killed
	Phases     []PhaseSpan
	Faults     []*FaultLife // in the plan's order, then those that are not in the plan
	Sightings  []seen[AlarmSighting]
	Alarms     []alarmAccount // by source
	Responses  []responseAccount
	Marks      []seen[Mark]
	OnCall     []seen[OnCallRecord]
	Links      []seen[LinkAnswer]
	Aborts     []seen[Abort]
	Stops      []seen[Stop]
	Steered    []Steered // what facilitators did to it, by time
	Notes      []seen[GeneratorNote]
	Remarks    []seen[Note]
	Findings   []seen[Found]
}

// PhaseSpan is one phase as it was. Open says that its end is not in the record, so that the span ends with the record.
type PhaseSpan struct {
	Phase Phase
	clock.Span
	Open bool
}

// FaultLife is one fault with its injections.
type FaultLife struct {
	Name       string
	Kind       string
	Plan       *FaultPlan // nil when the plan does not know it
	Injections []*InjectionLife
	Ready      *Readiness // of its pods after its end; nil when nobody looked
	readyLine  int
}

// InjectionLife is the life of one fault at one place.
type InjectionLife struct {
	ID, Fault, Kind, Place string
	Sent                   time.Time      // the command was about to be sent
	Onset                  clock.Interval // zero when it never took effect
	Effect                 *faults.Effect
	RevertSent             time.Time
	Gone                   clock.Interval // zero when it was not reverted
	Lapsed                 bool           // the kernel let go of it before it was told to
	LapsedWhy              string
	Back                   clock.Interval // the target came back by itself
	BackEffect             *faults.Effect
	BackLine               int
	Failed, Hint           string // why it could not be injected
	Residue                string // why it could not be reverted
	Lines                  []int  // of record.jsonl
}

// NewTimeline derives the timeline of a record. It is pure.
func NewTimeline(rec *Record) *Timeline {
	t := &Timeline{
		Sightings: all[AlarmSighting](rec, AlarmSeen),
		Marks:     all[Mark](rec, Marked),
		OnCall:    all[OnCallRecord](rec, OnCallSeen),
		Links:     all[LinkAnswer](rec, LinkAsked),
		Aborts:    all[Abort](rec, AbortSeen),
		Stops:     all[Stop](rec, StopAsked),
		Notes:     all[GeneratorNote](rec, GeneratorSaid),
		Remarks:   all[Note](rec, Noted),
		Findings:  all[Found](rec, PreflightFound),
	}
	for _, s := range all[Started](rec, RunStarted) {
		t.Started, t.Start = s.V, s.At
		break
	}
	for _, e := range all[Ended](rec, RunEnded) {
		t.Ended, t.End = &e.V, e.At
		break
	}
	t.Start = cmpTime(t.Start, rec.began)
	if t.Ended == nil {
		t.End = rec.heard
	}
	afterwards := map[uint64]bool{}
	for _, m := range t.Marks {
		afterwards[m.Seq] = m.V.After
	}
	for _, e := range rec.Events {
		t.Start = cmpTime(t.Start, e.At)
		// A source's account may be asked for long after a run that was killed; it is not part of what happened.
		told := slices.Contains([]EventKind{AlarmHistory, ResponseRecord, RulesStudied, AlarmBefore, Overrode}, e.Kind) || afterwards[e.Seq]
		if t.Ended == nil && !told && e.At.After(t.End) {
			t.End = e.At
		}
	}
	t.phases(rec)
	t.steer(rec)
	t.faults(rec)
	t.Alarms = alarmAccounts(rec, t.Sightings, t.End)
	t.Responses = responseAccounts(rec)
	return t
}

func (t *Timeline) phases(rec *Record) {
	for _, e := range all[PhaseChange](rec, PhaseStarted, PhaseEnded) {
		if e.Kind == PhaseStarted {
			t.Phases = append(t.Phases, PhaseSpan{e.V.Phase, clock.Span{Start: e.At, End: t.End}, true})
			continue
		}
		for i := range t.Phases {
			if p := &t.Phases[i]; p.Phase == e.V.Phase && p.Open {
				p.End, p.Open = e.At, false
			}
		}
	}
}

// Phase returns a phase as it was; ok is false when it was not reached.
func (t *Timeline) Phase(p Phase) (PhaseSpan, bool) {
	for _, s := range t.Phases {
		if s.Phase == p {
			return s, true
		}
	}
	return PhaseSpan{}, false
}

// Fault returns a fault by name, or nil.
func (t *Timeline) Fault(name string) *FaultLife {
	for _, f := range t.Faults {
		if f.Name == name {
			return f
		}
	}
	return nil
}

func (t *Timeline) faults(rec *Record) {
	for i := range rec.Plan.Faults {
		p := &rec.Plan.Faults[i]
		t.Faults = append(t.Faults, &FaultLife{Name: p.Name, Kind: p.Kind, Plan: p})
	}
	steps := all[Injection](rec, Injecting, Injected, InjectFailed, Lapsed, Reverting, Reverted, RevertFailed)
	for _, s := range steps {
		f := t.Fault(s.V.Fault)
		if f == nil {
			f = &FaultLife{Name: s.V.Fault, Kind: s.V.Kind}
			t.Faults = append(t.Faults, f)
		}
		f.injection(s.V).step(s)
	}
	for _, r := range all[Readiness](rec, PodsReady) {
		if f := t.Fault(r.V.Fault); f != nil {
			f.Ready, f.readyLine = &r.V, r.line()
		}
	}
	for _, r := range all[Comeback](rec, Recovered) {
		f := t.Fault(r.V.Fault)
		if f == nil {
			continue
		}
		for _, in := range f.Injections {
			if (in.Place == r.V.Place || len(f.Injections) == 1) && in.Back.IsZero() {
				in.Back, in.BackEffect, in.BackLine = r.V.At, r.V.Effect, r.line()
				in.Lines = append(in.Lines, r.line())
			}
		}
	}
}

func (f *FaultLife) injection(v Injection) *InjectionLife {
	for _, in := range f.Injections {
		if in.ID == v.ID && in.Place == v.Place {
			return in
		}
	}
	in := &InjectionLife{ID: v.ID, Fault: v.Fault, Kind: v.Kind, Place: v.Place}
	f.Injections = append(f.Injections, in)
	return in
}

// step applies one event to an injection.
func (in *InjectionLife) step(s seen[Injection]) {
	in.Lines = append(in.Lines, s.line())
	v := s.V
	switch s.Kind {
	case Injecting:
		in.Sent = s.At
	case Injected:
		in.Onset, in.Effect = v.Onset, v.Effect
		if in.Onset.IsZero() {
			in.Onset = clock.Between(cmpTime(in.Sent, s.At), s.At)
		}
	case InjectFailed:
		in.Failed, in.Hint = cmp.Or(v.Error, "the fault did not take effect"), v.Hint
	case Lapsed:
		in.Lapsed, in.LapsedWhy = true, v.Error
		in.end(v.Gone, s.At)
	case Reverting:
		in.RevertSent = s.At
	case Reverted:
		in.Residue = ""
		in.end(v.Gone, s.At)
	case RevertFailed:
		in.Residue = cmp.Or(v.Error, "the revert could not be verified")
	}
}

// end notes when the fault was gone: as its guard says, otherwise between the command and the event that tells of it.
// The first end counts: a revert after a lapse finds nothing left.
func (in *InjectionLife) end(gone clock.Interval, at time.Time) {
	if !in.Gone.IsZero() {
		return
	}
	if gone.IsZero() {
		gone = clock.Between(cmpTime(in.RevertSent, at), at)
	}
	in.Gone = gone
}

func cmpTime(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}

// Reversible reports whether gameday itself can undo the fault.
func (f *FaultLife) Reversible() bool { return f.Plan == nil || f.Plan.Reversible }

// Onset returns when the fault first took effect at any place; zero when it never did.
func (f *FaultLife) Onset() clock.Interval {
	var first clock.Interval
	for _, in := range f.Injections {
		if in.Onset.IsZero() {
			continue
		}
		if first.IsZero() || in.Onset.Hi.Before(first.Hi) {
			first = in.Onset
		}
	}
	return first
}

// over returns when the injection was over: reverted or lapsed, or for one without an undo, when its target was back.
func (in *InjectionLife) over() clock.Interval {
	if in.Gone.IsZero() {
		return in.Back
	}
	return in.Gone
}

// Gone returns when the fault was over at every place; zero while it stands anywhere.
func (f *FaultLife) Gone() clock.Interval {
	var last clock.Interval
	for _, in := range f.Injections {
		if in.Onset.IsZero() {
			continue
		}
		g := in.over()
		if g.IsZero() {
			return clock.Interval{}
		}
		if last.IsZero() || g.Hi.After(last.Hi) {
			last = g
		}
	}
	return last
}

// Standing returns the span in which the fault stood at every place it was injected: from the last proof of its effect
// to the first command to revert, or to the first recovery. ok is false when it never stood, or at no time everywhere.
func (f *FaultLife) Standing(end time.Time) (clock.Span, bool) {
	s := clock.Span{End: end}
	for _, in := range f.Injections {
		if in.Onset.IsZero() {
			continue
		}
		if in.Onset.Hi.After(s.Start) {
			s.Start = in.Onset.Hi
		}
		stop := end
		switch over := in.over(); {
		case in.Lapsed, !over.IsZero() && in.RevertSent.IsZero():
			stop = over.Lo
		case !in.RevertSent.IsZero():
			stop = in.RevertSent
		}
		if stop.Before(s.End) {
			s.End = stop
		}
	}
	return s, !s.Start.IsZero() && s.Length() > 0
}

// reach returns the span in which the fault may have been felt: from the first command to the last proof that it was
// gone.
func (f *FaultLife) reach(end time.Time) (clock.Span, bool) {
	s := clock.Span{}
	for _, in := range f.Injections {
		if in.Onset.IsZero() {
			continue
		}
		from, to := cmpTime(in.Sent, in.Onset.Lo), end
		if over := in.over(); !over.IsZero() {
			to = over.Hi
		}
		if s.Start.IsZero() || from.Before(s.Start) {
			s.Start = from
		}
		if to.After(s.End) {
			s.End = to
		}
	}
	return s, !s.Start.IsZero()
}

// lines returns the lines of the record that tell of the fault.
func (f *FaultLife) lines() []int {
	var out []int
	for _, in := range f.Injections {
		out = append(out, in.Lines...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// refused returns what went wrong when it was tried; nothing when it was not tried, or nothing is known of it.
func (f *FaultLife) refused() string {
	for _, in := range f.Injections {
		if in.Failed != "" {
			return in.Failed
		}
	}
	return ""
}

// failure returns why the fault was never injected, in a run that came to its planned end or not.
func (f *FaultLife) failure(complete bool) string {
	switch {
	case f.refused() != "":
		return f.refused()
	case f.attempted():
		return "it was tried, and nothing shows that it took effect"
	case complete && f.Plan != nil && f.Plan.After != "":
		return "its turn never came, for it waits until " + f.Plan.After + " is over"
	case complete:
		return "its turn never came"
	}
	return "the run ended before its turn came"
}

// responseAccount is what one source of responses says, after duplicates were left out.
type responseAccount struct {
	Source   string
	Events   []responseEvent // by time
	Coverage responders.Coverage
	Begin    time.Time // of what was asked for
	End      time.Time
	Line     int // of the account; 0 when there is none, and the events are those seen live
	Error    string
}

type responseEvent struct {
	responders.Event
	line int
	said string // what else was said with a mark
}

func responseAccounts(rec *Record) []responseAccount {
	live := all[responders.Event](rec, ResponseSeen)
	by := map[string]*responseAccount{}
	get := func(name string) *responseAccount {
		if by[name] == nil {
			by[name] = &responseAccount{Source: name}
		}
		return by[name]
	}
	for _, e := range live {
		get(e.V.Source)
	}
	for _, a := range all[ResponseAccount](rec, ResponseRecord) {
		acc := get(a.V.Source)
		if a.V.Error != "" && acc.Line != 0 {
			continue // an earlier answer is better than none
		}
		acc.Coverage, acc.Begin, acc.End, acc.Line, acc.Error = a.V.Coverage, a.V.Span.Start, a.V.Span.End, a.line(), a.V.Error
		acc.Events = nil
		for _, e := range a.V.Events {
			acc.Events = append(acc.Events, responseEvent{Event: e, line: a.line()})
		}
	}
	// What was seen live completes the account, and gives each of its events the line where it was first seen.
	for _, e := range live {
		acc := by[e.V.Source]
		if i := slices.IndexFunc(acc.Events, func(x responseEvent) bool { return sameResponse(x.Event, e.V) }); i >= 0 {
			acc.Events[i].line = min(acc.Events[i].line, e.line())
			acc.Events[i].At = narrowed(acc.Events[i].At, e.V.At)
			continue
		}
		acc.Events = append(acc.Events, responseEvent{Event: e.V, line: e.line()})
	}
	var out []responseAccount
	for _, name := range sortedKeys(by) {
		acc := by[name]
		slices.SortStableFunc(acc.Events, func(a, b responseEvent) int {
			return cmp.Or(a.At.Lo.Compare(b.At.Lo), a.At.Hi.Compare(b.At.Hi), cmp.Compare(a.ID, b.ID))
		})
		acc.Events = slices.CompactFunc(acc.Events, func(a, b responseEvent) bool { return sameResponse(a.Event, b.Event) })
		out = append(out, *acc)
	}
	return out
}

// narrowed returns what two tellings of one instant leave of it: what was seen as it happened may be known better than what is
// told afterwards, when a source does not keep the time. Where they contradict each other, the first counts.
func narrowed(told, seen clock.Interval) clock.Interval {
	both := clock.Interval{Lo: laterOf(told.Lo, seen.Lo), Hi: earlierOf(told.Hi, seen.Hi)}
	if both.Hi.Before(both.Lo) {
		return told
	}
	return both
}

func sameResponse(a, b responders.Event) bool {
	return a.ID != "" && a.ID == b.ID && a.Page == b.Page && a.Kind == b.Kind
}

// AlarmCoverage and ResponseCoverage return the share of the run for which the record has what a source saw, from 0 to 1; 0
// when it has nothing from it.
func (t *Timeline) AlarmCoverage(source string) float64 {
	a := t.alarmSource(source)
	if a == nil {
		return 0
	}
	return clock.Share(a.Coverage.Spans, clock.Span{Start: t.Start, End: earlierOf(t.End, a.End)})
}

// ResponseCoverage is AlarmCoverage for a source of responses.
func (t *Timeline) ResponseCoverage(source string) float64 {
	a := t.responseSource(source)
	if a == nil || a.Line == 0 {
		return 0
	}
	return clock.Share(a.Coverage.Spans, clock.Span{Start: t.Start, End: earlierOf(t.End, a.End)})
}

// ResponseEvents returns how many events the record has from a source of responses.
func (t *Timeline) ResponseEvents(source string) int {
	if a := t.responseSource(source); a != nil {
		return len(a.Events)
	}
	return 0
}

// LostAlarms names an alarm of which the record has an episode that fired, and the given ones have none; empty when there is
// no such alarm.
func (t *Timeline) LostAlarms(source string, now []alarms.Episode) string {
	a := t.alarmSource(source)
	if a == nil {
		return ""
	}
	for _, e := range a.Episodes {
		if e.fired() && !slices.ContainsFunc(now, func(n alarms.Episode) bool { return n.Key == e.Key }) {
			return e.name()
		}
	}
	return ""
}

// NotBroken returns the spans less the time in which a source was seen to answer without being able to know: a history does
// not tell of that.
func (t *Timeline) NotBroken(source string, spans []clock.Span) []clock.Span {
	var broken []clock.Span
	for _, s := range t.Sightings {
		switch n := len(broken); {
		case s.V.Source != source:
		case s.V.State == alarms.StateBroken:
			broken = append(broken, clock.Span{Start: s.V.At.Lo, End: t.End})
		case n > 0 && broken[n-1].End.Equal(t.End):
			broken[n-1].End = s.V.At.Hi
		}
	}
	out := []clock.Span{}
	for _, s := range spans {
		out = append(out, without(s, broken)...)
	}
	return out
}

// responseSource returns the account of a source of responses, or nil when the record has nothing from it.
func (t *Timeline) responseSource(name string) *responseAccount {
	for i := range t.Responses {
		if t.Responses[i].Source == name {
			return &t.Responses[i]
		}
	}
	return nil
}

// sortedKeys returns a map's keys in order, so that nothing depends on the order of maps.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
