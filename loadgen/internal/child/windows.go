package child

import (
	"time"

	"gameday/loadgen"
)

// Settle is how long after its end a second is handed out: engines count a moment late.
const Settle = 250 * time.Millisecond

// Windows hands out the seconds of a Tally as they end, in order.
type Windows struct {
	// Fill adds what the tally does not count: what was due until over, the end of the second, and who was busy. What the
	// process used is there already.
	Fill func(w *loadgen.Window, over time.Time)
	Send func(*loadgen.Window)

	tally *Tally
	usage *usage
	quit  chan struct{}
	idle  chan struct{}
}

// NewWindows returns the windows of a tally; Fill and Send are to be set before Start.
func NewWindows(t *Tally) *Windows {
	return &Windows{tally: t, usage: newUsage(), quit: make(chan struct{}), idle: make(chan struct{})}
}

// Start hands out windows from a goroutine of its own.
func (o *Windows) Start() {
	go func() {
		defer close(o.idle)
		ticker := time.NewTicker(Settle / 5)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				o.flush(false)
			case <-o.quit:
				o.flush(true)
				return
			}
		}
	}()
}

// Stop hands out what is left and returns after the last window.
func (o *Windows) Stop() {
	close(o.quit)
	<-o.idle
}

// flush hands out the seconds that are over, or all.
func (o *Windows) flush(all bool) {
	for {
		w, over, ok := o.tally.Take(time.Now(), Settle, all)
		if !ok {
			return
		}
		lateness := w.Generator.Lateness
		w.Generator = o.usage.since()
		w.Generator.Lateness = lateness
		o.Fill(w, over)
		o.Send(w)
	}
}
