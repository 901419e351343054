package room

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/loadgen"
	"gameday/report"
	"gameday/responders"
)

// Stage is as much of a run's phase as anybody may know: which part of the load phase it is would tell when the faults come and
// that they are gone.
type Stage string

// The stages.
const (
	Preparing Stage = "preparing"
	Baseline  Stage = "baseline"
	Ramp      Stage = "ramp"
	UnderLoad Stage = "under load"
	Ending    Stage = "ending" // somebody or something has it end before its time
	Over      Stage = "over"
)

// Bounds of what a room keeps.
const (
	mostPages   = 50
	mostPeople  = 200
	mostRemarks = 100
	mostAlarms  = 50
	longText    = 500 // letters of a text that somebody wrote
	clockJump   = 5 * time.Second
)

// Seen is what everybody in a room may know, also of a blind run.
type Seen struct {
	Stage  Stage
	Began  time.Duration // of the stage, on the run's clock
	Pages  []Page        // in the order in which they opened
	People []Person      // in the order in which they were first heard of
	Said   []Remark      // by responders, in the room
	// Evidence is what responders attached, in the room.
	Evidence []Remark
	// Held says that a facilitator has the game day stand still. Traffic goes on.
	Held bool
	// Stuck says that something of the game day's own could not be undone. What it is, is not said.
	Stuck bool

	stuck []string // the ids of what could not be
}

// Page is a page that somebody got.
type Page struct {
	ID    string
	Alarm string // its name, as the page says it
	State string // "open", "acknowledged by ann"
	Since time.Duration
	Level int // 0 when nobody said
	// Opened is when it was first heard of, and Done says that it is resolved.
	Opened time.Duration
	Acked  bool
	Done   bool
	// Told says that an alarm's own system sent it, which is all that is known of it: nobody can answer it here.
	Told bool
}

// Called returns what a page is called: "page 2 (PaymentsDown)".
func (p Page) Called() string {
	switch {
	case p.ID == "":
		return "a page of its own system (" + p.Alarm + ")"
	case p.Alarm == "":
		return "page " + p.ID
	}
	return "page " + p.ID + " (" + p.Alarm + ")"
}

// Person is somebody who takes part.
type Person struct {
	Name  string
	Doing string
	Since time.Duration
}

// Remark is something that somebody said.
type Remark struct {
	At   time.Duration
	Who  string
	What string // "note", "I think it is"
	Text string
	File *report.Attachment // that was attached; nil is none
}

// take adds what an event says that everybody may know. Every kind that is not named here is left out, and of those that are, every
// field. A change of this list is a change of what blind runs give away.
func (s *Seen) take(e report.Event) {
	switch e.Kind {
	case report.PhaseStarted:
		var c report.PhaseChange
		decode(e, &c)
		s.phase(c.Phase, e.T)
	case report.AbortSeen, report.StopAsked: // that it ends, and not why
		s.stage(Ending, e.T)
	case report.HoldBegan: // that it stands still, and not why
		s.Held = true
	case report.HoldEnded:
		s.Held = false
	case report.RevertFailed, report.Reverted: // that there is something, and not what
		var in report.Injection
		decode(e, &in)
		s.stuck = slices.DeleteFunc(slices.Clone(s.stuck), func(id string) bool { return id == in.ID })
		if e.Kind == report.RevertFailed {
			s.stuck = append(s.stuck, in.ID)
		}
		s.Stuck = len(s.stuck) > 0
	case report.AlarmSeen:
		var a report.AlarmSighting
		decode(e, &a)
		s.alarm(a, e.T)
	case report.ResponseSeen:
		var r responders.Event
		decode(e, &r)
		s.response(r, e.T)
	case report.Marked:
		var m report.Mark
		decode(e, &m)
		if name, role, ok := signer(m.By); ok && role == Responder {
			s.marked(Remark{At: e.T, Who: name, What: said(m.Name), Text: m.Text, File: m.File})
			s.person(name, doing(m.Name), e.T)
		}
	case report.RunEnded:
		s.stage(Over, e.T)
	}
}

func (s *Seen) stage(to Stage, at time.Duration) {
	if s.Stage != to && s.Stage != Over {
		s.Stage, s.Began = to, at
		s.Held = s.Held && to != Ending && to != Over
	}
}

func (s *Seen) phase(p report.Phase, at time.Duration) {
	switch {
	case s.Stage == Ending:
	case p == report.Baseline:
		s.stage(Baseline, at)
	case p == report.Ramp:
		s.stage(Ramp, at)
	default:
		s.stage(UnderLoad, at)
	}
}

// alarm takes an alarm once it has paged somebody. One that only fires is on nobody's desk, and would be told of by the room alone.
func (s *Seen) alarm(a report.AlarmSighting, at time.Duration) {
	name := a.Labels["alertname"]
	if name == "" {
		return
	}
	i := slices.IndexFunc(s.Pages, func(p Page) bool { return p.Told && p.Alarm == name && !p.Done })
	switch {
	case a.State == alarms.StatePaged && i < 0:
		if slices.ContainsFunc(s.Pages, func(p Page) bool { return p.Alarm == name && !p.Done }) {
			return // it is on somebody's desk already
		}
		s.page(Page{Alarm: name, State: "sent", Since: at, Opened: at, Told: true})
	case a.State == alarms.StateInactive && i >= 0:
		s.Pages[i].Done, s.Pages[i].State, s.Pages[i].Since = true, "quiet again", at
	}
}

func (s *Seen) page(p Page) {
	s.Pages = append(s.Pages, p)
	if len(s.Pages) > mostPages { // the oldest that is done, or else the oldest
		i := max(0, slices.IndexFunc(s.Pages, func(p Page) bool { return p.Done }))
		s.Pages = slices.Delete(s.Pages, i, i+1)
	}
}

// response takes what somebody did.
func (s *Seen) response(r responders.Event, at time.Duration) {
	who, human := actor(r.Actor)
	if r.Page != "" && r.Kind.OfPage() {
		s.answer(r, who, at)
	}
	if r.Kind == responders.Notified {
		for _, t := range r.Targets {
			s.person(t, "was told", at)
		}
		return
	}
	if !human {
		return
	}
	s.person(who, did(r), at)
	if r.Channel == Channel && r.Text != "" && strings.HasPrefix(r.Source, desk) { // it was written in this room
		switch r.Kind {
		case responders.Noted:
			s.remark(Remark{At: at, Who: who, What: "note", Text: r.Text})
		case responders.Diagnosed:
			s.remark(Remark{At: at, Who: who, What: said(report.DiagnosisMark), Text: r.Text})
		}
	}
}

// answer takes what became of a page.
func (s *Seen) answer(r responders.Event, who string, at time.Duration) {
	i := slices.IndexFunc(s.Pages, func(p Page) bool { return !p.Told && p.ID == r.Page })
	if i < 0 {
		s.page(Page{ID: r.Page, Opened: at, State: "open", Since: at})
		i = len(s.Pages) - 1
	}
	p := &s.Pages[i]
	if name := r.Labels["alertname"]; name != "" {
		p.Alarm = name
		if d := slices.IndexFunc(s.Pages, func(o Page) bool { return o.Told && o.Alarm == name && !o.Done }); d >= 0 {
			defer func() { s.Pages = slices.Delete(s.Pages, d, d+1) }() // this is what was sent
		}
	}
	if r.Level > 0 {
		p.Level = max(p.Level, r.Level)
	}
	switch r.Kind {
	case responders.Notified:
		if !p.Acked && !p.Done {
			p.State, p.Since = waiting(r.Targets), at
		}
	case responders.Acknowledged:
		p.State, p.Since, p.Acked = "acknowledged by "+who, at, true
	case responders.Unacknowledged:
		p.State, p.Since, p.Acked = "no longer acknowledged", at, false
	case responders.Escalated:
		if !p.Acked && !p.Done {
			p.State, p.Since = "escalated", at
		}
	case responders.Resolved:
		p.State, p.Since, p.Done = "resolved", at, true
	}
}

// desk begins the name of every paging desk, by which acts of a room come into the record. What other sources call a room is another.
const desk = "desk."

func waiting(whom []string) string {
	if len(whom) == 0 {
		return "somebody has not answered"
	}
	return strings.Join(whom, ", ") + " has not answered"
}

// actor returns what an actor is called here. A machine is called by what it is, for its name may say anything.
func actor(a responders.Actor) (name string, human bool) {
	switch a.Kind {
	case responders.Human, responders.UnknownKind, "":
		if a.ID == "" {
			return "somebody", false
		}
		return a.ID, true
	case responders.Timeout:
		return "nobody in time", false
	}
	return "a machine", false
}

// did says in a word or two what somebody did, without what they wrote about it.
func did(r responders.Event) string {
	if r.Kind == responders.Marked { // of the steps that people take in every game day, and of no other mark
		for _, s := range report.StepNames() {
			if strings.EqualFold(strings.TrimSpace(r.Text), s.Mark()) {
				return s.Title()
			}
		}
	}
	word, ok := map[responders.Kind]string{
		responders.Opened: "opened a page", responders.Acknowledged: "acknowledged", responders.Unacknowledged: "took that back",
		responders.Escalated: "escalated", responders.Resolved: "resolved", responders.Noted: "wrote a note", responders.Joined: "takes part",
		responders.RoomOpened: "opened a channel", responders.BridgeOpened: "opened a bridge", responders.Told: "told customers",
		responders.Diagnosed: "said what is wrong", responders.RunbookOpened: "opened the runbook", responders.Filed: "filed a post-mortem",
	}[r.Kind]
	if !ok {
		return "did something"
	}
	return word
}

// said names a mark that a responder made. Names that people chose are theirs to read: responders made them.
func said(name string) string {
	if name == report.DiagnosisMark {
		return "I think it is"
	}
	return name
}

// doing says of a mark that a responder made what they did.
func doing(name string) string {
	switch name {
	case "note":
		return "wrote a note"
	case report.EvidenceMark:
		return "attached evidence"
	case report.DiagnosisMark:
		return "said what is wrong"
	}
	return name
}

func (s *Seen) person(name, doing string, at time.Duration) {
	if name == "" {
		return
	}
	i := slices.IndexFunc(s.People, func(p Person) bool { return p.Name == name })
	if i < 0 {
		if len(s.People) == mostPeople {
			return
		}
		s.People, i = append(s.People, Person{Name: name}), len(s.People)
	}
	s.People[i].Doing, s.People[i].Since = doing, at
}

// marked takes what a responder wrote in the room, or attached.
func (s *Seen) marked(r Remark) {
	if r.What == report.EvidenceMark {
		s.Evidence = bounded(append(s.Evidence, tidy(r)), mostRemarks)
		return
	}
	r.File = nil
	s.remark(r)
}

func (s *Seen) remark(r Remark) { s.Said = bounded(append(s.Said, tidy(r)), mostRemarks) }

// tidy keeps a text a line of reasonable length.
func tidy(r Remark) Remark {
	r.Text = report.PlainText(r.Text)
	if letters := []rune(r.Text); len(letters) > longText {
		r.Text = string(letters[:longText-1]) + "…"
	}
	if r.File != nil {
		f := *r.File
		f.Name = report.PlainText(f.Name)
		r.File = &f
	}
	return r
}

// clone returns a copy that later events do not change.
func (s *Seen) clone() Seen {
	c := *s
	c.stuck = nil
	c.Pages, c.People, c.Said, c.Evidence = slices.Clone(s.Pages), slices.Clone(s.People), slices.Clone(s.Said), slices.Clone(s.Evidence)
	return c
}

func bounded[T any](list []T, most int) []T { return list[max(0, len(list)-most):] }

// decode reads an event's data. Who follows a record has looked that it can be read.
func decode(e report.Event, v any) { _ = json.Unmarshal(e.Data, v) }

func window(e report.Event) (w loadgen.Window, ok bool) {
	return w, json.Unmarshal(e.Data, &w) == nil
}
