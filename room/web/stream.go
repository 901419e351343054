package web

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"gameday/report"
	"gameday/room/door"
)

// streams counts those that are open, of all and of each person.
type streams struct {
	mu     sync.Mutex
	all    int
	people map[string]int
}

// open counts one more, and returns what counts it off again; nil when there are too many.
func (s *streams) open(who string) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= mostStreams || s.people[who] >= personLimit {
		return nil
	}
	s.all++
	s.people[who]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.people[who]--; s.people[who] == 0 {
			delete(s.people, who)
		}
	}
}

// stream sends what changes, as server-sent events. Nothing waits in it: who is slow misses what was between, and gets what is now.
func (s *Room) stream(w http.ResponseWriter, r *http.Request) {
	g, err := s.who(r)
	if err != nil {
		s.refuse(w, r, http.StatusUnauthorized, "You need a link of your own to come in.")
		return
	}
	size := r.URL.Query().Get("size")
	if !slices.Contains(report.LiveSizes(), size) {
		s.refuse(w, r, http.StatusBadRequest, "A stream needs a size of the picture: desk, sheet or phone.")
		return
	}
	done := s.streams.open(person(g))
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
	s.send(w, r, rc, g, size, seen)
}

// send writes until the other side is gone, or may not see more.
func (s *Room) send(w http.ResponseWriter, r *http.Request, rc *http.ResponseController, g door.Guest, size string, seen uint64) {
	write := func(b []byte) bool {
		_ = rc.SetWriteDeadline(time.Now().Add(writeLimit))
		_, err := w.Write(b)
		return err == nil && rc.Flush() == nil
	}
	if !write([]byte("retry: 2000\n\n")) {
		return
	}
	pulse := time.NewTicker(keepAlive)
	defer pulse.Stop()
	for {
		if now, err := s.who(r); err != nil || now != g { // taken back, or run out
			return
		}
		f, wake := s.hub.look(g.Role)
		if f.number < seen { // no id of ours: all of it
			seen = 0
		}
		if f.number > seen {
			if !write(s.hub.since(f, seen, size)) {
				return
			}
			seen = f.number
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
func person(g door.Guest) string { return string(g.Role) + " " + g.Name }
