package serve

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/serve/web"
)

// Bounds of rooms.
const (
	roomStays = 30 * time.Minute // after its run is over
	mostOver  = 20               // rooms of runs that are over
)

// rooms are those that are open, by the folders of their runs' records.
type rooms struct {
	mu     sync.Mutex
	open   map[string]*openRoom
	follow sync.WaitGroup
}

type openRoom struct {
	web.Room
	room   Opened
	end    context.CancelFunc
	closes time.Time // zero while the run goes on
}

// keep opens a room for each run that goes on, and closes those of runs that have been over for a while.
func (r *rooms) keep(ctx context.Context, e *Engine, going []goingRun, now time.Time) {
	if e.OpenRoom == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	on := map[string]bool{}
	for _, g := range going {
		on[g.folder] = true
		if r.open[g.folder] == nil {
			r.begin(ctx, e, g)
		}
		r.open[g.folder].Blind = g.blind // of a run that is just beginning nobody knows
	}
	var over []*openRoom
	for folder, o := range r.open {
		switch {
		case on[folder]:
			o.closes = time.Time{} // for a moment it was not to be seen
			continue
		case o.closes.IsZero():
			o.closes = now.Add(roomStays)
		}
		over = append(over, o)
	}
	slices.SortFunc(over, func(a, b *openRoom) int { return cmp.Or(b.closes.Compare(a.closes), strings.Compare(a.Run, b.Run)) })
	for i, o := range over {
		if i >= mostOver || !now.Before(o.closes) {
			o.end()
			delete(r.open, o.Run)
		}
	}
}

func (r *rooms) begin(ctx context.Context, e *Engine, g goingRun) {
	id := strings.ToLower(rand.Text())
	followed, end := context.WithCancel(ctx)
	o := &openRoom{Room: web.Room{ID: id, Run: g.folder, Scenario: g.Scenario, Began: g.At, Blind: g.blind}, room: e.OpenRoom(id, g.folder, g.dir), end: end}
	r.open[g.folder] = o
	r.follow.Go(func() { o.room.Follow(followed) })
}

// close closes all rooms.
func (r *rooms) close() {
	r.mu.Lock()
	for folder, o := range r.open {
		o.end()
		delete(r.open, folder)
	}
	r.mu.Unlock()
	r.follow.Wait()
}

// list returns the rooms, the newest first.
func (r *rooms) list() []web.Room {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []web.Room{}
	for _, o := range r.open {
		x := o.Room
		x.Handler = o.room
		x.Paged, x.Over = o.room.Look()
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b web.Room) int { return cmp.Or(b.Began.Compare(a.Began), strings.Compare(a.Run, b.Run)) })
	return out
}

// of returns the ID of a run's room; empty when it has none.
func (r *rooms) of(folder string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.open[folder]; o != nil {
		return o.ID
	}
	return ""
}
