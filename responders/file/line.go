package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// line is one line of the file: an event, or a stretch of time of which the file has all events.
type line struct {
	Complete *span `json:"complete"`

	ID        string            `json:"id"`
	Page      string            `json:"page"`
	Kind      responders.Kind   `json:"kind"`
	At        time.Time         `json:"at"`
	By        string            `json:"by"`
	Actor     string            `json:"actor"` // human, bot, integration, timeout; unknown when it is not given
	Labels    map[string]string `json:"labels"`
	Level     int               `json:"level"`
	Targets   []string          `json:"targets"`
	Delivered string            `json:"delivered"`
	Text      string            `json:"text"`
	Channel   string            `json:"channel"`
	Team      string            `json:"team"`
	Grade     string            `json:"grade"`
}

type span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// kinds are the kinds of event, and actors who may have done one.
var (
	kinds  = responders.Kinds()
	actors = []responders.ActorKind{responders.Human, responders.Bot, responders.Integration, responders.Timeout, responders.UnknownKind}
)

// parsed is a file, read.
type parsed struct {
	events  []responders.Event
	covered []clock.Span
}

// parse reads the file's lines. A last line without its end is one that is being written: it is left out, and whole is where
// it begins.
func (s *Source) parse(text []byte) (p parsed, whole int, err error) {
	labels := map[string]map[string]string{} // by page
	for n := 1; ; n++ {
		end := bytes.IndexByte(text[whole:], '\n')
		if end < 0 {
			return p, whole, nil
		}
		raw := bytes.TrimSpace(text[whole : whole+end])
		whole += end + 1
		if len(raw) == 0 {
			continue
		}
		if err := s.line(raw, n, &p, labels); err != nil {
			return p, whole, fmt.Errorf("%s:%d: %w", s.path, n, err)
		}
	}
}

// line reads one line.
func (s *Source) line(raw []byte, n int, p *parsed, labels map[string]map[string]string) error {
	var l line
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return fmt.Errorf("not an event: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after it: a line is one event")
	}
	if l.Complete != nil {
		if !l.Complete.From.Before(l.Complete.To) {
			return errors.New("complete is from an instant to a later one")
		}
		p.covered = append(p.covered, clock.Span{Start: l.Complete.From.Add(s.slack), End: l.Complete.To.Add(-s.slack)})
		return nil
	}
	e, err := s.event(l, n)
	if err != nil {
		return err
	}
	// A page's labels need be said once.
	if len(e.Labels) > 0 {
		labels[e.Page] = e.Labels
	}
	e.Labels = labels[e.Page]
	if e.Page != "" && len(e.Labels) == 0 {
		return fmt.Errorf("page %q has no labels yet: its first event says which alarm it is about, such as {\"alertname\": \"Down\"}", e.Page)
	}
	p.events = append(p.events, e)
	return nil
}

// event makes an event of a line.
func (s *Source) event(l line, n int) (responders.Event, error) {
	e := responders.Event{Source: s.name, ID: l.ID, Page: l.Page, Labels: maps.Clone(l.Labels), Kind: l.Kind, Level: l.Level,
		Targets: l.Targets, Delivered: l.Delivered, Text: l.Text, Channel: l.Channel, Team: l.Team, Grade: l.Grade,
		Actor: responders.Actor{ID: l.By, Kind: responders.ActorKind(l.Actor)}, At: clock.At(l.At).Widen(s.slack)}
	if e.ID == "" {
		e.ID = fmt.Sprintf("line %d", n)
	}
	if e.Grade == "" {
		e.Grade = s.grade
	}
	if e.Actor.Kind == "" {
		e.Actor.Kind = responders.UnknownKind
	}
	if e.Delivered == "" && e.Kind == responders.Notified {
		e.Delivered = "unknown"
	}
	switch {
	case !slices.Contains(kinds, e.Kind):
		return e, fmt.Errorf("%q is no kind of event; they are %s", l.Kind, words(kinds))
	case l.At.IsZero():
		return e, errors.New("it has no time: at, as 2026-11-20T14:03:05Z")
	case e.Page == "" && e.Kind.OfPage():
		return e, fmt.Errorf("it has no page, and %s is about one", e.Kind)
	case !slices.Contains(actors, e.Actor.Kind):
		return e, fmt.Errorf("%q is no kind of actor; they are %s", l.Actor, words(actors))
	case e.Actor.Kind == responders.Human && e.Actor.ID == "":
		return e, errors.New("a human being has a name, or a pseudonym: by")
	case !slices.Contains(grades, e.Grade):
		return e, fmt.Errorf("%q is no grade of evidence; they are A, B, C and D", l.Grade)
	case e.Delivered != "" && !slices.Contains([]string{"yes", "no", "unknown"}, e.Delivered):
		return e, fmt.Errorf("delivered is yes, no or unknown, not %q", l.Delivered)
	case e.Kind == responders.Marked && e.Text == "":
		return e, errors.New("a mark has a name: text")
	}
	if slices.Contains(s.automation, e.Actor.ID) && e.Actor.ID != "" {
		e.Actor.Kind = responders.Bot
	}
	return e, nil
}

func words[T ~string](list []T) string {
	out := ""
	for i, w := range list {
		if i > 0 {
			out += ", "
		}
		out += string(w)
	}
	return out
}
