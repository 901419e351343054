package conductor

import (
	"time"

	"gameday/loadgen"
	"gameday/report"
)

// Streams go by programs that they are told ahead, each by its own generator's clock. Where the timeline stands still or jumps, they are
// told anew what is to come from there on. A script with its own executors takes no program: it goes on as it is.

// conductTraffic tells the streams what a hold, its end, or a skip means for them. It needs the pace's lock.
func (r *run) conductTraffic() {
	p, t := &r.pace, r.traffic
	at := p.at(r.rec.now())
	switch p.stage {
	case report.Ramp:
		t.rampFrom(at, p.length, p.hold != nil)
	case report.Control, report.Load:
		switch {
		case p.hold != nil:
			t.freeze(at)
		case p.stage == report.Load || p.skipped == 0: // else the phase is over, and the next one begins anew
			t.follow(at)
		}
	}
}

// rampFrom goes on with a ramp that was begun so long ago, of a length, or stays where it is.
func (t *traffic) rampFrom(at, length time.Duration, still bool) {
	for _, s := range t.streams {
		if s.Late() || s.KeepExecutors {
			continue
		}
		// What a stream is told counts a lead later, and so did the ramp's begin.
		whole := max(0, length-s.lead())
		if !still {
			t.command(s, loadgen.Command{To: s.program.From, Over: max(0, whole-at)})
			continue
		}
		share := 1.0
		if at < whole {
			share = float64(at) / float64(whole)
		}
		t.command(s, loadgen.Command{To: 1 + (s.program.From-1)*share})
	}
}

// freeze keeps every stream at the multiple that it has so long after the begin of the phase.
func (t *traffic) freeze(at time.Duration) {
	for _, s := range t.streams {
		switch own := at + s.lead() - max(0, s.Start); {
		case s.KeepExecutors:
		case s.Late() && own < 0:
			t.command(s, loadgen.Command{To: 0})
		case own < s.program.Length():
			t.command(s, loadgen.Command{To: s.program.At(own)})
		}
	}
}

// follow has every stream go on by its program from so long after the begin of the phase.
func (t *traffic) follow(at time.Duration) {
	for _, s := range t.streams {
		own := at + s.lead() - max(0, s.Start)
		rest := s.program.Rest(own)
		switch {
		case s.KeepExecutors:
		case s.Late() && own < 0:
			begin := []loadgen.Leg{{To: s.program.From}}
			t.command(s, loadgen.Command{To: 0, Over: -own, Then: append(begin, s.program.Legs...)})
		case s.Late() || len(s.program.Legs) > 0:
			t.command(s, loadgen.Command{To: rest.From, Then: rest.Legs})
		}
	}
}

// toldByLogs reports whether a stream has a program that its runners are told by an annotation, which takes a while and holds so much.
func (t *traffic) toldByLogs() bool {
	for _, s := range t.streams {
		if s.lead() > 0 && (s.Late() || len(s.program.Legs) > 0) {
			return true
		}
	}
	return false
}
