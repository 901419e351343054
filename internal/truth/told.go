package truth

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/responders"
)

// sighting is an observation with the instant at which gameday heard of it.
type sighting struct {
	alarms.Observation
	seen time.Duration
}

// state is how an alarm stands at an instant.
type state struct {
	bout   int // -1 when it is quiet
	firing bool
	hushed bool
}

func (a *alarm) at(t time.Duration, pending bool) state {
	for i, b := range a.bouts {
		if t < b.pending || t >= b.ended {
			continue
		}
		if t >= b.fired {
			return state{i, true, in(a.hushed, t)}
		}
		if pending {
			return state{i, false, false}
		}
	}
	return state{bout: -1}
}

// key names an alarm in a source.
func (a *alarm) key() string { return `{alertname="` + a.labels["alertname"] + `"}` }

// sightings are what watching a source brings, look by look: an alarm's changes, and that the source cannot be reached.
// Nothing but the looks, and what the source says of an instant by itself, goes into them.
func (w *World) sightings(s *source, live bool) []sighting {
	var out []sighting
	looks := s.looks(w.ended, live)
	if len(looks) == 0 {
		return nil
	}
	out = append(out, sighting{alarms.Observation{At: clock.At(began.Add(looks[0])), State: alarms.StateReachable}, looks[0]})
	for i := 1; i < len(looks); i++ {
		if looks[i]-looks[i-1] < s.every+s.every/2 {
			continue
		}
		lost := looks[i-1] + s.every
		out = append(out,
			sighting{alarms.Observation{At: between(looks[i-1], lost), State: alarms.StateUnreachable, Why: "timeout"}, lost},
			sighting{alarms.Observation{At: between(lost, looks[i]), State: alarms.StateReachable}, looks[i]})
	}
	if last := looks[len(looks)-1]; w.ended-last >= s.every+s.every/2 {
		out = append(out, sighting{alarms.Observation{At: between(last, last+s.every), State: alarms.StateUnreachable}, last + s.every})
	}
	for _, a := range slices.Concat(w.alarms, w.strangers) {
		out = append(out, w.follow(s, a, looks)...)
	}
	slices.SortStableFunc(out, func(a, b sighting) int { return cmp.Compare(a.seen, b.seen) })
	return out
}

func between(a, b time.Duration) clock.Interval {
	return clock.Interval{Lo: began.Add(a), Hi: began.Add(b)}
}

// follow follows one alarm from look to look.
func (w *World) follow(s *source, a *alarm, looks []time.Duration) []sighting {
	var out []sighting
	before, last := state{bout: -1}, -time.Hour
	say := func(look time.Duration, st alarms.State, at time.Duration, stamped bool, why string) {
		i := between(last, look)
		if stamped {
			i = s.stamp(at)
		}
		out = append(out, sighting{alarms.Observation{At: i, Key: a.key(), Labels: a.labels, State: st, Why: why}, look})
	}
	paged := map[int]bool{}
	for _, look := range looks {
		now := a.at(look, s.pending)
		another := now.bout != before.bout
		// What is pending after it fired has ended in between.
		if before.bout >= 0 && (now.bout < 0 || another && (s.stamps || before.firing && !now.firing)) {
			say(look, alarms.StateInactive, 0, false, "")
			before = state{bout: -1}
		}
		if now.bout >= 0 {
			b := a.bouts[now.bout]
			fresh := before.bout < 0
			if s.pending && fresh && (!now.firing || s.stamps && b.pending != b.fired) {
				say(look, alarms.StatePending, b.pending, s.stamps, "")
			}
			if now.firing && !before.firing {
				say(look, alarms.StateFiring, b.fired, s.stamps, "")
			}
			if s == w.router && now.hushed && !before.hushed {
				say(look, alarms.StateSuppressed, 0, false, "silence 7")
			}
		}
		if s == w.router {
			for _, p := range w.pages {
				if p.alarm == a && p.left <= look && p.left > last && !paged[p.bout] && now.bout == p.bout {
					paged[p.bout] = true
					say(look, alarms.StatePaged, p.left, false, "")
				}
			}
		}
		before, last = now, look
	}
	return out
}

// episodes are what a source tells of its alarms, asked afterwards.
func (w *World) episodes(s *source) []alarms.Episode {
	var out []alarms.Episode
	open := map[string]*alarms.Episode{}
	shut := func(key string) {
		if e := open[key]; e != nil {
			out = append(out, *e)
			delete(open, key)
		}
	}
	for _, o := range w.sightings(s, false) {
		if o.Key == "" {
			continue
		}
		e := open[o.Key]
		if e == nil {
			e = &alarms.Episode{Source: s.name, Key: o.Key, Labels: maps.Clone(o.Labels)}
			open[o.Key] = e
		}
		switch o.State {
		case alarms.StatePending:
			e.Pending = o.At
		case alarms.StateFiring:
			e.Firing = o.At
		case alarms.StateSuppressed:
			e.SuppressedBy = []string{o.Why}
		case alarms.StatePaged:
			e.Paged = o.At
		case alarms.StateInactive:
			e.Ended = o.At
			shut(o.Key)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(open)) {
		shut(k)
	}
	return out
}

// answer is what the desk tells of one thing that happened.
type answer struct {
	responders.Event
	seen     time.Duration
	alsoLive bool
}

// answers are what the desk tells: live, or asked afterwards.
func (w *World) answers(live bool) []answer {
	var out []answer
	s := w.desk
	for _, p := range w.pages {
		for _, h := range p.events {
			if !s.saw(h.at, live) {
				continue
			}
			e := h.Event
			e.Source, e.At = s.name, s.stamp(h.at)
			out = append(out, answer{e, h.at + 300*time.Millisecond, s.saw(h.at, true)})
		}
	}
	return out
}
