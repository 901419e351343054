package web

import (
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
// whatever is written, and clocks go on in the page by themselves. So an audience of any size takes no more than this one does.
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
	after time.Duration
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
	pulse := time.NewTicker(keepAlive)
	defer pulse.Stop()
	var told time.Time // when something new was last told
	for {
		if now, err := s.who(r); err != nil || now != g { // taken back, or run out
			return
		}
		f, wake := s.hub.look(v.as)
		if f.number < seen { // no id of ours: all of it
			seen = 0
		}
		if f.number > seen && v.as == room.Observer && !told.IsZero() { // not at each wake: others' news must not show in when this one is told
			select {
			case <-r.Context().Done():
				return
			case <-time.After(max(v.after, s.streams.every()-time.Since(told))):
			}
			f, wake = s.hub.look(v.as)
		}
		if f.number > seen {
			if !write(s.hub.since(f, seen, v.size)) {
				return
			}
			seen, told = f.number, time.Now()
		}
		select {
		case <-r.Context().Done():
			return
		case <-wake:
		case <-pulse.C:
			if !write([]byte(":\n\n")) {
				return
			}
		}
	}
}

// person tells persons apart who have one name and several roles.
func person(g door.Guest) string { return gate.Person(g) }
