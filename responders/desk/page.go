package desk

import (
	"fmt"
	"strconv"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// State is what became of a page.
type State string

// The states of a page.
const (
	Open         State = "open" // nobody said "mine" yet, or it was passed on
	Acknowledged State = "acknowledged"
	Resolved     State = "resolved"
)

// Page is one page as the desk shows it.
type Page struct {
	ID       string            `json:"id"`
	State    State             `json:"state"`
	Level    int               `json:"level"` // the level responsible now, from 1
	OpenedAt time.Time         `json:"opened_at"`
	Labels   map[string]string `json:"labels"`
	Notes    map[string]string `json:"annotations,omitempty"`
	AckedBy  []string          `json:"acknowledged_by,omitempty"` // of the present level, in order
	// Fingerprint and StartsAt name the alarm, as its sender does.
	Fingerprint string             `json:"fingerprint"`
	StartsAt    time.Time          `json:"starts_at"`
	Events      []responders.Event `json:"events"`
}

// page is a page with its place in the policy.
type page struct {
	Page
	round int         // how often the policy began again
	timer *time.Timer // until the next level is told; nil when none is
	turn  int         // counts changes of responsibility: a timer that fires late sees that it is not meant
}

// The desk itself and its policy act, too.
var (
	theDesk   = responders.Actor{ID: "desk", Kind: responders.Integration}
	thePolicy = responders.Actor{ID: "policy", Kind: responders.Timeout}
)

// Grades of evidence. The desk is the system of record for what it did itself. For what people did it has only the name
// that the request gave, which nothing proves.
const (
	gradeOwn      = "A"
	gradeDeclared = "B"
)

// record appends an event to the page and to the desk's log. The desk's lock is held.
func (s *Source) record(p *page, e responders.Event) {
	e.Source, e.Page, e.Labels = s.name, p.ID, p.Labels
	e.ID = p.ID + "." + strconv.Itoa(len(p.Events)+1)
	if e.At.IsZero() {
		e.At = clock.At(time.Now())
	}
	if e.Grade == "" {
		e.Grade = gradeOwn
	}
	p.Events = append(p.Events, e)
	s.log = append(s.log, e)
	close(s.changed)
	s.changed = make(chan struct{})
}

// notify tells the people of the page's present level and starts their time. The desk's lock is held.
func (s *Source) notify(p *page) {
	level := s.config.Levels[p.Level-1]
	s.record(p, responders.Event{Kind: responders.Notified, Actor: theDesk, Level: p.Level, Targets: level.People,
		Delivered: "yes", Text: "on the desk"})
	s.await(p)
}

// await starts the time of the page's present level. The desk's lock is held.
func (s *Source) await(p *page) {
	p.turn++
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	wait := s.waits[p.Level-1]
	if wait == 0 || p.State != Open || !s.running {
		return
	}
	turn := p.turn
	p.timer = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.running && p.turn == turn && p.State == Open {
			s.expire(p)
		}
	})
}

// expire passes on a page that its level did not acknowledge. The desk's lock is held.
func (s *Source) expire(p *page) {
	next := p.Level + 1
	if next > len(s.config.Levels) {
		if p.round == s.config.Repeat {
			s.record(p, responders.Event{Kind: responders.Noted, Actor: thePolicy, Level: p.Level,
				Text: "nobody acknowledged and the policy has no further level"})
			return
		}
		p.round++
		next = 1
	}
	s.escalate(p, next, thePolicy, gradeOwn, fmt.Sprintf("not acknowledged within %s", s.waits[p.Level-1]))
}

// escalate makes a level responsible and tells it. The desk's lock is held.
func (s *Source) escalate(p *page, level int, by responders.Actor, grade, text string) {
	p.State, p.Level, p.AckedBy = Open, level, nil
	s.record(p, responders.Event{Kind: responders.Escalated, Actor: by, Level: level, Grade: grade, Text: text})
	s.notify(p)
}

// stop ends the page's time. The desk's lock is held.
func (p *page) stop() {
	p.turn++
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}
