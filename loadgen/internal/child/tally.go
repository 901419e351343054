package child

import (
	"sync"
	"time"

	"gameday/loadgen"
)

// Tally sums what happens into one cell for each second since the schedule's first instant. What comes too late for a
// second that was handed out counts in the oldest one still open, so that nothing is lost. Seconds are counted by the
// monotonic clock.
type Tally struct {
	mu    sync.Mutex
	start time.Time     // zero before the first instant
	end   time.Duration // what is later counts in the cell of this
	first int           // the number of cells[0]
	cells []*loadgen.Window
}

// NewTally returns a tally that counts nothing before its first instant.
func NewTally() *Tally { return &Tally{end: loadgen.Never} }

// Open sets the first instant.
func (t *Tally) Open(start time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.start = start
}

// Close makes the second of an instant the last.
func (t *Tally) Close(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = max(0, at.Sub(t.start))
}

// At calls count with the cell of an instant. What happens before the first instant is not counted.
func (t *Tally) At(when time.Time, count func(w *loadgen.Window)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.start.IsZero() {
		return
	}
	since := when.Sub(t.start)
	if since < 0 {
		return
	}
	count(t.cell(int(min(since, t.end) / time.Second)))
}

// cell returns a cell by number, or the oldest open one. t.mu must be held.
func (t *Tally) cell(number int) *loadgen.Window {
	i := max(number-t.first, 0)
	for len(t.cells) <= i {
		at := t.start.Add(time.Duration(t.first+len(t.cells)) * time.Second)
		t.cells = append(t.cells, &loadgen.Window{Start: at.Round(0)})
	}
	return t.cells[i]
}

// Take removes the oldest cell when its second was over a while ago, or, with all set, when it has begun. over is when
// it ended. Cells stop coming after the last second.
func (t *Tally) Take(now time.Time, late time.Duration, all bool) (w *loadgen.Window, over time.Time, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.start.IsZero() {
		return nil, time.Time{}, false
	}
	begun := time.Duration(t.first) * time.Second
	over = t.start.Add(begun + time.Second)
	last := begun+time.Second > t.end
	if begun > min(now.Sub(t.start), t.end) || (!all && (last || now.Before(over.Add(late)))) {
		return nil, time.Time{}, false
	}
	w = t.cell(t.first)
	t.first++
	t.cells = t.cells[1:]
	return w, over, true
}
