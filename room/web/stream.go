package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/report"
	"gameday/room"
	"gameday/room/door"
	"gameday/room/gate"
)

// streams counts those that are open, of all and of each person.
type streams struct {
	mu     sync.Mutex
	all    int
	turn   int
	people map[string]int
}

// open counts one more, and returns how long after others it is told what is new, and what counts it off again; nil when there are too many.
func (s *streams) open(who string) (after time.Duration, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= mostStreams || s.people[who] >= personLimit {
		return 0, nil
	}
	s.all++
	s.people[who]++
	s.turn = (s.turn + 1) % turns
	return time.Duration(s.turn) * turnEvery, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.people[who]--; s.people[who] == 0 {
			delete(s.people, who)
		}
	}
}

// mostHere is how many are named of those who look on.
const mostHere = 30

// here names those who have the room open.
func (s *streams) here() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for who := range s.people {
		role, name, _ := strings.Cut(who, " ")
		out = append(out, room.Signed(name, room.Role(role)))
	}
	slices.Sort(out)
	if n := len(out); n > mostHere {
		out = append(out[:mostHere], fmt.Sprintf("%d more", n-mostHere))
	}
	return out
}

// stream sends what changes, as server-sent events. Nothing waits in it: who is slow misses what was between, and gets what is now.
func (s *Room) stream(w http.ResponseWriter, r *http.Request) {
	g, err := s.who(r)
	if err != nil {
		s.refuse(w, r, http.StatusUnauthorized, "You need a link of your own to come in.")
		return
	}
	size, wall := r.URL.Query().Get("size"), r.URL.Query().Has("wall")
	if !slices.Contains(report.LiveSizes(), size) {
		s.refuse(w, r, http.StatusBadRequest, "A stream needs a size of the picture: desk, sheet or phone.")
		return
	}
	after, done := s.streams.open(person(g))
	if done == nil {
		w.Header().Set("Retry-After", "10")
		s.refuse(w, r, http.StatusTooManyRequests, "Too many pages of this room are open; close some, and load this one again.")
		return
	}
	defer done()
	since := r.Header.Get("Last-Event-ID")
	if since == "" {
		since = r.URL.Query().Get("since")
	}
	seen, err := s.hub.number(since)
	if err != nil {
		seen = 0 // of a room before this one, or of none: all of it
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // else the reading of the request, which is over, would end this
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	v := view{as: sees(g, wall), size: size}
	if v.as == room.Observer {
		v.after = after
	}
	s.send(w, r, rc, g, v, seen)
}

// Those who only look on are told something new twice a second each at most, and all together 500 times: writing takes the more the more often it is done,
// whatever is written, and clocks go on in the page by themselves.
const (
	observedEvery = 500 * time.Millisecond
	observedApart = 2 * time.Millisecond
)

// every is how often somebody who only looks on is told something new, at most.
func (s *streams) every() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(observedEvery, time.Duration(s.all)*observedApart)
}

// view is what a stream tells of. Of hundreds who only look on each is told a little after the one before: were all told in one moment, that
// would take the processors for as long, which what runs beside the room may need just then. Who has just come in is shown what there is at once.
type view struct {
	as    room.Role
	size  string
	after time.Duration // the turn, in each round
}

// round is in which each turn comes once.
const round = turns * turnEvery

// next is when somebody is told, who was last told then and is every so often at most: in the first turn of theirs from now on. Times count from one
// moment for all, and the last one is when that turn was to be, so that turns stay apart whatever comes late.
func (v view) next(now, told, every time.Duration) time.Duration {
	from := max(now, told+every)
	at := from.Truncate(round) + v.after
	if at < from {
		at += round
	}
	return at
}

// turn waits until it is somebody's turn who only looks on, and returns when that was. That the run is over is nothing to wait for longer than a round:
// nobody is left whom telling it disturbs, and the room may close soon.
func (s *Room) turn(ctx context.Context, v view, told time.Duration) (at time.Duration, ok bool) {
	every, over := s.streams.every(), s.hub.over
	for {
		select {
		case <-over:
			every, over = 0, nil
		default:
		}
		at = v.next(time.Since(s.opened), told, every)
		select {
		case <-ctx.Done():
			return at, false
		case <-over:
		case <-time.After(at - time.Since(s.opened)):
			return at, true
		}
	}
}

// send writes until the other side is gone, or may not see more.
func (s *Room) send(w http.ResponseWriter, r *http.Request, rc *http.ResponseController, g door.Guest, v view, seen uint64) {
	write := func(b []byte) bool {
		_ = rc.SetWriteDeadline(time.Now().Add(writeLimit))
		return inOnePiece(r, func() error {
			if _, err := w.Write(b); err != nil {
				return err
			}
			return rc.Flush()
		}) == nil
	}
	if !write([]byte("retry: 2000\n\n")) {
		return
	}
	tell := func(f *frame) bool {
		if now, err := s.who(r); err != nil || now != g { // taken back, or run out
			return false
		}
		if f.number > seen {
			if !write(s.hub.since(f, seen, v.size)) {
				return false
			}
			seen = f.number
		}
		return true
	}
	pulse := time.NewTicker(keepAlive)
	defer pulse.Stop()
	var told time.Duration // when something new was last told
	for first := true; ; first = false {
		f, wake := s.hub.look(v.as)
		if f.number < seen { // no id of ours: all of it
			seen = 0
		}
		some := f.number > seen
		if some && v.as == room.Observer && !first { // not at each wake: others' news must not show in when this one is told
			var ok bool
			if told, ok = s.turn(r.Context(), v, told); !ok {
				s.last(r, v, tell)
				return
			}
			f, wake = s.hub.look(v.as)
		}
		if !tell(f) {
			return
		}
		if some && first {
			told = time.Since(s.opened)
		}
		select {
		case <-r.Context().Done():
			s.last(r, v, tell)
			return
		case <-wake:
		case <-pulse.C:
			if !write([]byte(":\n\n")) {
				return
			}
		}
	}
}

// last tells that the run is over to somebody whose stream ends because the room closes, and who may not have been told yet. While the run goes on there
// is no such haste: all would be told in one moment, which takes the processors from what runs beside the room.
func (s *Room) last(r *http.Request, v view, tell func(*frame) bool) {
	if f, _ := s.hub.look(v.as); f.view.Seen.Stage == room.Over && errors.Is(context.Cause(r.Context()), errCloses) {
		tell(f)
	}
}

// person tells persons apart who have one name and several roles.
func person(g door.Guest) string { return gate.Person(g) }
