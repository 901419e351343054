package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tidwall/gjson"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/page"
	"gameday/sources/hook"
)

const (
	mostEvents = 1_000   // of one posting
	mostText   = 4 << 10 // bytes of one text
	mostLabels = 64      // of one page
	mostNames  = 100     // people told at once
)

// read takes the events out of what was posted. Its errors are for the sender; nothing of a posting counts that has one.
func (s *settings) read(body []byte, received time.Time) ([]responders.Event, error) {
	if !gjson.ValidBytes(body) {
		return nil, errors.New("the body is not JSON")
	}
	whole := gjson.ParseBytes(body)
	list := []gjson.Result{whole}
	if s.Each != "" {
		each := whole.Get(s.Each)
		if !each.IsArray() {
			return nil, fmt.Errorf("there is no list at %q", s.Each)
		}
		if list = each.Array(); len(list) > mostEvents {
			return nil, fmt.Errorf("there are %d events at %q, and at most %d are read", len(list), s.Each, mostEvents)
		}
	} else if whole.IsArray() {
		return nil, errors.New("the body is a list: say with each = \"@this\" that its members are events")
	}
	var out []responders.Event
	for i, v := range list {
		e, ok, err := s.event(v, received)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		if ok {
			out = append(out, e)
		}
	}
	return out, nil
}

// named are the kinds whose text names something, or says where it is. That of others is what somebody wrote.
var named = []responders.Kind{responders.Marked, responders.Joined, responders.RoomOpened, responders.RunbookOpened, responders.Filed}

// event reads one event; ok is false for one that tells of nothing.
func (s *settings) event(v gjson.Result, received time.Time) (e responders.Event, ok bool, err error) {
	text := func(path string) string {
		if path == "" {
			return ""
		}
		return hook.Clip(v.Get(path).String(), mostText)
	}
	word := text(s.Kind)
	kind, known := s.Kinds[word]
	switch {
	case !known:
		return e, false, fmt.Errorf("its kind at %q is %q, of which kinds says nothing", s.Kind, hook.Clip(word, 80))
	case kind == Ignore:
		return e, false, nil
	}
	e = responders.Event{ID: text(s.ID), Page: text(s.Page), Kind: responders.Kind(kind), Text: text(s.Text), Channel: text(s.Channel),
		Team: text(s.Team), Grade: text(s.Grade), Actor: s.actor(text(s.Actor), text(s.ActorKind)), Labels: s.labels(v)}
	if !slices.Contains(named, e.Kind) {
		e.Text = page.Names{}.Clean(e.Text)
	}
	switch {
	case e.Page == "" && e.Kind.OfPage():
		return e, false, fmt.Errorf("there is no page at %q, and %s is about one", s.Page, e.Kind)
	case s.ID != "" && e.ID == "":
		return e, false, fmt.Errorf("there is no id at %q", s.ID)
	case e.Kind == responders.Marked && e.Text == "":
		return e, false, fmt.Errorf("there is no name of the mark at %q", s.Text)
	}
	if e.ID == "" {
		sum := sha256.Sum256([]byte(v.Raw))
		e.ID = hex.EncodeToString(sum[:12])
	}
	if e.Grade == "" {
		e.Grade = s.grade
	}
	if !slices.Contains(grades, e.Grade) {
		return e, false, fmt.Errorf("its grade at %q is %q, which is none of A, B, C and D", s.Grade, hook.Clip(e.Grade, 80))
	}
	if e.At, err = s.when(v, received); err != nil {
		return e, false, err
	}
	if err := s.page(&e, v); err != nil {
		return e, false, err
	}
	return e, true, nil
}

// when says when an event was: at the time it gives, else at most delay before it was posted.
func (s *settings) when(v gjson.Result, received time.Time) (clock.Interval, error) {
	if s.At == "" {
		return clock.Between(received.Add(-s.delay), received), nil
	}
	i, err := hook.When(v.Get(s.At).String(), s.slack, received)
	if err != nil {
		return i, fmt.Errorf("its time at %q: %w", s.At, err)
	}
	return i, nil
}

// page reads what is said of a page's way: to which level, to whom, and whether it arrived.
func (s *settings) page(e *responders.Event, v gjson.Result) error {
	if s.Level != "" {
		if level := v.Get(s.Level); level.Exists() && level.Type != gjson.Null {
			n := level.Int()
			if n < 1 || n > 1000 || level.String() != fmt.Sprint(n) {
				return fmt.Errorf("its level at %q is %q, and levels are whole numbers from 1", s.Level, hook.Clip(level.String(), 80))
			}
			e.Level = int(n)
		}
	}
	if s.Targets != "" {
		for _, to := range v.Get(s.Targets).Array() {
			if name := hook.Clip(to.String(), mostText); name != "" && len(e.Targets) < mostNames {
				e.Targets = append(e.Targets, name)
			}
		}
	}
	if e.Kind != responders.Notified {
		return nil
	}
	e.Delivered = "unknown"
	if s.Delivered == "" {
		return nil
	}
	given := v.Get(s.Delivered)
	meaning, known := s.Deliveries[given.String()]
	switch {
	case known:
		e.Delivered = meaning
	case given.Type == gjson.True:
		e.Delivered = "yes"
	case given.Type == gjson.False:
		e.Delivered = "no"
	case slices.Contains(deliveries, given.String()):
		e.Delivered = given.String()
	}
	return nil
}

// actor says who it was.
func (s *settings) actor(id, word string) responders.Actor {
	a := responders.Actor{ID: id, Kind: responders.UnknownKind}
	if meaning, ok := s.Actors[word]; ok {
		a.Kind = responders.ActorKind(meaning)
	} else if slices.Contains(actors, responders.ActorKind(word)) {
		a.Kind = responders.ActorKind(word)
	}
	switch {
	case id != "" && slices.Contains(s.automation, id):
		a.Kind = responders.Bot
	case id == "" && a.Kind == responders.Human: // a human being has a name, or a pseudonym
		a.Kind = responders.UnknownKind
	}
	return a
}

// labels reads the labels of a page's alarm.
func (s *settings) labels(v gjson.Result) map[string]string {
	out := map[string]string{}
	if s.From != "" {
		v.Get(s.From).ForEach(func(k, v gjson.Result) bool {
			if k.Type == gjson.String && !v.IsObject() && !v.IsArray() && len(out) < mostLabels {
				out[hook.Clip(k.String(), mostText)] = hook.Clip(v.String(), mostText)
			}
			return true
		})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		if found := v.Get(s.Labels[name]); found.Exists() && !found.IsObject() && !found.IsArray() && found.Type != gjson.Null {
			out[name] = hook.Clip(found.String(), mostText)
		}
	}
	return out
}
