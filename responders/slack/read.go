package slack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/follow"
	"gameday/responders/internal/page"
	"gameday/sources/looks"
)

// Grades of evidence. What Slack itself books of a person, such as who made a channel; what it books of others; what a text or a
// reaction is taken to mean; and that of a text that was changed afterwards.
const (
	gradeBooked  = "A"
	gradeOthers  = "B"
	gradeMeant   = "C"
	gradeLowered = "D"
)

// chat is the channel of all that is written.
const chat = "chat"

// reading is one look at all channels.
type reading struct {
	*Source
	ctx   context.Context
	span  clock.Span // ours
	slack clock.Span // theirs
	asked time.Time
	told  follow.Told
}

// read reads what happened in a span.
func (s *Source) read(ctx context.Context, span clock.Span) (follow.Told, error) {
	s.one.Lock() // what is remembered is what the last look showed
	defer s.one.Unlock()
	r := &reading{Source: s, ctx: ctx, span: span, slack: s.follow.Theirs(span), asked: time.Now()}
	s.mu.Lock()
	if s.since.IsZero() || span.Start.Before(s.since) {
		s.since = span.Start
	}
	since := s.since
	s.mu.Unlock()
	list, err := s.list(ctx)
	if err != nil {
		return follow.Told{}, err
	}
	read := 0
	for _, c := range list {
		made := s.follow.Ours(time.Unix(c.Created, 0), time.Second)
		room := named(c.Name, s.rooms) && c.Created > 0 && !made.Hi.Before(since) && !made.Lo.After(span.End)
		if !room && !named(c.Name, s.channels) {
			continue
		}
		if read++; read > mostChannels {
			return follow.Told{}, fmt.Errorf("there are more than %d channels to read: name those alone that matter", mostChannels)
		}
		if err := r.channel(c, room, made); err != nil {
			return follow.Told{}, fmt.Errorf("reading #%s: %w", c.Name, err)
		}
	}
	return r.told, nil
}

// add books an event in a channel.
func (r *reading) add(c channel, e responders.Event) responders.Event {
	e.Source, e.Channel, e.Team = r.name, chat, "#"+c.Name
	r.told.Events = append(r.told.Events, e)
	return e
}

// channel reads one channel, with its threads. A room is one that was made for this.
func (r *reading) channel(c channel, room bool, made clock.Interval) error {
	if room {
		if err := r.opened(c, made); err != nil {
			return err
		}
	}
	from := r.slack.Start.Add(-r.lookback)
	if room {
		from = time.Unix(c.Created, 0)
	}
	list, err := r.history(r.ctx, c.ID, "", from, r.slack.End)
	if isCode(err, "not_in_channel", "channel_not_found") {
		blind := r.span
		if room && made.Lo.After(blind.Start) {
			blind.Start = made.Lo
		}
		r.told.Blind = append(r.told.Blind, looks.Fault{Span: blind, Why: "#" + c.Name + " cannot be read: " + err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	w := &walk{reading: r, in: c, open: map[string]*paged{}, pages: map[string]*paged{}}
	if err := w.place(c.ID, list, from); err != nil {
		return err
	}
	if err := w.threads(list); err != nil {
		return err
	}
	if err := w.reacted(list); err != nil {
		return err
	}
	if r.pins {
		if err := r.pinnedIn(c); err != nil {
			return err
		}
	}
	if room {
		return r.present(c, made, list)
	}
	return nil
}

// opened tells that a room was opened; whoever did is in it.
func (r *reading) opened(c channel, made clock.Interval) error {
	by, err := r.who(r.ctx, c.Creator)
	if err != nil {
		return err
	}
	grade := gradeOthers
	if by.Kind == responders.Human {
		grade = gradeBooked
	}
	r.add(c, responders.Event{ID: c.ID + ":opened", Kind: responders.RoomOpened, At: made, Actor: by, Text: "#" + c.Name, Grade: grade})
	if by.Kind == responders.Human {
		r.add(c, responders.Event{ID: c.ID + ":by:" + by.ID, Kind: responders.Joined, At: made, Actor: by, Grade: grade})
	}
	return nil
}

// present tells of those who are in a room, and of whose coming there is no message.
func (r *reading) present(c channel, made clock.Interval, list []message) error {
	ids, err := r.members(r.ctx, c.ID)
	if err != nil {
		return err
	}
	told := map[string]bool{c.Creator: true}
	for _, m := range list {
		if m.joins() {
			told[m.User] = true
		}
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return told[id] })
	seen := r.memory.look(c.ID+":members", ids, made.Lo, r.asked, time.Now())
	for _, one := range slices.Sorted(maps.Keys(seen)) {
		id, _, _ := strings.Cut(one, " ")
		if told[id] {
			continue
		}
		by, err := r.who(r.ctx, id)
		if err != nil {
			return err
		}
		r.add(c, responders.Event{ID: c.ID + ":in:" + one, Kind: responders.Joined, At: seen[one].first, Actor: by, Grade: gradeOthers})
	}
	return nil
}

// pinnedIn tells of what was pinned.
func (r *reading) pinnedIn(c channel) error {
	list, err := r.pinned(r.ctx, c.ID)
	if err != nil {
		return err
	}
	for _, p := range list {
		by, err := r.who(r.ctx, p.By)
		if err != nil {
			return err
		}
		r.add(c, responders.Event{ID: fmt.Sprintf("%s:pin:%s:%d:%s", c.ID, p.Message.TS, p.Created, p.By), Kind: responders.Noted, At: r.follow.Ours(time.Unix(p.Created, 0), time.Second), Actor: by,
			Text: "pinned something", Grade: gradeOthers})
	}
	return nil
}

// paged is an alarm's message, as a page.
type paged struct {
	id     string
	labels map[string]string
}

// walk goes through the messages of one channel, in order.
type walk struct {
	*reading
	in    channel
	open  map[string]*paged // by the labels' text
	pages map[string]*paged // by stamp
}

// place goes through the messages of a channel, or of one thread of it, which are all of those from an instant on.
func (w *walk) place(name string, list []message, from time.Time) error {
	shown := map[string][]responders.Event{}
	for i := range list {
		before := len(w.told.Events)
		if err := w.message(&list[i]); err != nil {
			return err
		}
		shown[list[i].TS] = slices.Clone(w.told.Events[before:])
	}
	w.told.Events = append(w.told.Events, w.memory.deleted(name, shown, from, w.slack.End)...)
	return nil
}

// threads goes through the threads to which something was added.
func (w *walk) threads(list []message) error {
	read := 0
	for _, m := range list {
		last, err := parseStamp(m.LastReply)
		if m.Replies == 0 || err == nil && last.Before(w.slack.Start) {
			continue
		}
		if read++; read > mostThreads {
			w.told.Blind = append(w.told.Blind, looks.Fault{Span: w.span, Why: fmt.Sprintf("#%s has more than %d threads, which are not all read", w.in.Name, mostThreads)})
			return nil
		}
		replies, err := w.history(w.ctx, w.in.ID, m.TS, w.slack.Start, w.slack.End)
		if err != nil {
			return err
		}
		replies = slices.DeleteFunc(replies, func(r message) bool { return r.TS == m.TS })
		if err := w.place(w.in.ID+"/"+m.TS, replies, w.slack.Start); err != nil {
			return err
		}
	}
	return nil
}

// joins reports whether a message says that its user came.
func (m *message) joins() bool { return m.Subtype == "channel_join" || m.Subtype == "group_join" }

// when says when a message came to say what it says: one that was edited may say it since then only.
func (w *walk) when(m *message) (at clock.Interval, edited bool) {
	at = w.follow.Ours(m.at, time.Microsecond)
	if m.Edited == nil {
		return at, false
	}
	if last, err := parseStamp(m.Edited.TS); err == nil && last.After(m.at) {
		at.Hi = w.follow.Ours(last, time.Microsecond).Hi
	} else {
		at.Hi = w.span.End
	}
	return at, true
}

// message tells what one message shows.
func (w *walk) message(m *message) error {
	by, err := w.author(m)
	if err != nil {
		return err
	}
	id := w.in.ID + ":" + m.TS
	at, edited := w.when(m)
	e := responders.Event{ID: id, Kind: responders.Noted, At: at, Actor: by, Grade: gradeBooked}
	if p := w.pages[m.Thread]; p != nil && m.Thread != m.TS {
		e.Page, e.Labels = p.id, p.labels
	}
	switch {
	case m.joins():
		e.Kind, e.At = responders.Joined, w.follow.Ours(m.at, time.Microsecond)
		w.add(w.in, e)
		return nil
	case m.Subtype == "tombstone":
		e.Text, e.Grade = "a message that was deleted", gradeLowered
		w.add(w.in, e)
		return nil
	case w.alarmed(m):
		return nil
	}
	text := strings.Join(m.texts(), "\n")
	e.Text = follow.Length(m.Text)
	if w.keep {
		e.Text = follow.Scrub(strings.TrimSpace(text))
	}
	if edited {
		e.Text, e.Grade = e.Text+" (edited)", gradeLowered
	}
	if by.Kind != responders.Bot && by.Kind != responders.Integration {
		w.add(w.in, e)
	}
	w.marked(e, id, text, edited)
	return nil
}

// marked tells of the marks that a text sets.
func (w *walk) marked(e responders.Event, id, text string, edited bool) {
	said := e.Text
	e.Grade = gradeMeant
	if edited {
		e.Grade = gradeLowered
	}
	for _, m := range w.marks {
		if !m.what.MatchString(text) {
			continue
		}
		e.ID, e.Kind, e.Text = id+":mark:"+m.name, responders.Marked, m.name
		w.add(w.in, e)
		if m.kind != "" {
			e.Kind, e.Text = m.kind, m.name
			if m.kind == responders.Diagnosed {
				e.Text = said
			}
			w.add(w.in, e)
		}
	}
}

// author says who wrote a message.
func (w *walk) author(m *message) (responders.Actor, error) {
	if m.Bot != "" || m.Subtype == "bot_message" {
		id := m.Bot
		if id == "" {
			id = m.User
		}
		return responders.Actor{ID: id, Kind: responders.Bot}, nil
	}
	if m.Subtype == "tombstone" {
		return responders.Actor{Kind: responders.UnknownKind}, nil
	}
	return w.who(w.ctx, m.User)
}

// alarmed reports whether a message is about an alarm, and tells what it shows: that it began, or ended, or is said again.
func (w *walk) alarmed(m *message) bool {
	if w.alarm == nil || m.Bot == "" && m.Subtype != "bot_message" || len(w.alarm.bots) > 0 && !slices.Contains(w.alarm.bots, m.Bot) {
		return false
	}
	labels := w.alarm.labels(m)
	if labels["alertname"] == "" {
		return false
	}
	key := labels["alertname"]
	at := w.follow.Ours(m.at, time.Microsecond)
	e := responders.Event{ID: w.in.ID + ":" + m.TS, At: at, Actor: responders.Actor{ID: m.Bot, Kind: responders.Integration}, Grade: gradeOthers}
	over := w.alarm.resolved.MatchString(strings.Join(m.texts(), "\n"))
	p := w.open[key]
	switch {
	case over && p == nil && m.Edited == nil: // of an alarm from before
		return true
	case over && p != nil:
		e.Kind, e.Page, e.Labels = responders.Resolved, p.id, p.labels
		delete(w.open, key)
	case p != nil:
		e.Kind, e.Page, e.Labels, e.Text = responders.Noted, p.id, p.labels, "posted again"
	default:
		p = &paged{id: w.in.ID + ":" + m.TS, labels: labels}
		w.pages[m.TS] = p
		e.Kind, e.Page, e.Labels = responders.Opened, p.id, p.labels
		if !over {
			w.open[key] = p
			break
		}
		w.add(w.in, e) // the message was turned into that of the end
		e.ID += ":end"
		e.Kind = responders.Resolved
		e.At, _ = w.when(m)
	}
	w.add(w.in, e)
	return true
}

// labels reads the labels of the alarm that a message is about.
func (a *alarm) labels(m *message) map[string]string {
	texts := m.texts()
	out := page.Labels(m.raw, a.paths, texts...)
	for name, what := range a.matches {
		for _, text := range texts {
			if found := what.FindStringSubmatch(text); found != nil && found[1] != "" {
				out[name] = found[1]
				break
			}
		}
	}
	return out
}

// reacted tells of the reactions to alarms' messages. Slack does not say when they were made.
func (w *walk) reacted(list []message) error {
	for i := range list {
		m := &list[i]
		p := w.pages[m.TS]
		if p == nil {
			continue
		}
		has, err := w.reactionsOf(m)
		if err != nil {
			return err
		}
		posted := w.follow.Ours(m.at, time.Microsecond)
		seen := w.memory.look(p.id, has, posted.Lo, w.asked, time.Now())
		for _, one := range slices.Sorted(maps.Keys(seen)) {
			name, rest, _ := strings.Cut(one, " ")
			user, _, _ := strings.Cut(rest, " ")
			by, err := w.who(w.ctx, user)
			if err != nil {
				return err
			}
			e := responders.Event{ID: p.id + ":" + name + ":" + rest, Page: p.id, Labels: p.labels, Kind: w.reactions[name], At: seen[one].first, Actor: by,
				Text: ":" + name + ":", Grade: gradeMeant}
			w.add(w.in, e)
			if gone := seen[one].gone; !gone.IsZero() && e.Kind == responders.Acknowledged {
				e.Kind, e.At, e.Text = responders.Unacknowledged, gone, ":"+name+": was taken back"
				w.add(w.in, e)
			}
		}
	}
	return nil
}

// reactionsOf returns "name user" for each reaction to a message that means something.
func (w *walk) reactionsOf(m *message) ([]string, error) {
	list := m.Reactions
	for _, r := range list {
		if r.Count > len(r.Users) && w.reactions[bare(r.Name)] != "" { // not all of them are named
			var err error
			if list, err = w.everyReaction(w.ctx, w.in.ID, m.TS); err != nil {
				return nil, err
			}
			break
		}
	}
	var out []string
	for _, r := range list {
		for _, user := range r.Users {
			if one := bare(r.Name) + " " + user; w.reactions[bare(r.Name)] != "" && !slices.Contains(out, one) {
				out = append(out, one)
			}
		}
	}
	return out, nil
}

// bare returns a reaction's name without the colour of its skin.
func bare(name string) string {
	name, _, _ = strings.Cut(name, "::")
	return name
}
