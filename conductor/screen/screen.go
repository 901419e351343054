package screen

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"gameday/report"
)

// Options say how to show a run.
type Options struct {
	Terminal bool // redraw in place; otherwise one line per event
	Color    bool
	Width    int // columns; 0 is 100
	// Blind hides the faults until the run is over.
	Blind bool
}

// Screen shows one run. Observe never blocks: when the terminal is slow, drawings are skipped, lines are not.
type Screen struct {
	out    io.Writer
	opts   Options
	events chan report.Event
	done   chan struct{}

	mu    sync.Mutex
	state *state
	lines int // drawn and not yet wiped
}

// New returns a screen that writes to out until Close.
func New(out io.Writer, p *report.Plan, o Options) *Screen {
	if o.Width <= 0 {
		o.Width = 100
	}
	s := &Screen{out: out, opts: o, events: make(chan report.Event, 4096), done: make(chan struct{}), state: newState(p)}
	go s.run()
	return s
}

// Observe takes one event.
func (s *Screen) Observe(e report.Event) {
	select {
	case s.events <- e:
	default: // four thousand events behind: the record has them
	}
}

// Close shows what is left to show and stops drawing.
func (s *Screen) Close() {
	close(s.events)
	<-s.done
}

// Standing lists the faults that stand now, for an impatient user.
func (s *Screen) Standing() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, in := range s.state.standing {
		out = append(out, fmt.Sprintf("%s on %s", in.Fault, in.Place))
	}
	return out
}

func (s *Screen) run() {
	defer close(s.done)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case e, ok := <-s.events:
			if !ok {
				s.mu.Lock()
				s.wipe()
				s.mu.Unlock()
				return
			}
			s.show(e)
		case <-tick.C:
			if s.opts.Terminal {
				s.draw()
			}
		}
	}
}

// show folds an event in and prints its line: all of them where there is no terminal, the lasting ones above the live
// lines where there is.
func (s *Screen) show(e report.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := s.state.take(e)
	if line == "" || s.hidden(e) {
		return
	}
	s.wipe()
	fmt.Fprintf(s.out, "%8s  %s\n", clockTime(e.T), line)
}

// hidden reports whether an event would give the faults away in a blind run.
func (s *Screen) hidden(e report.Event) bool {
	if !s.opts.Blind || s.state.ended {
		return false
	}
	switch e.Kind {
	case report.Injecting, report.Injected, report.Lapsed, report.Reverting, report.Reverted, report.Recovered:
		return true
	}
	return e.Kind == report.ExpectSeen && strings.Contains(string(e.Data), `"fault.`)
}

// wipe removes the live lines.
func (s *Screen) wipe() {
	if s.lines > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", s.lines)
		s.lines = 0
	}
}

func (s *Screen) draw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.phase == "" || s.state.ended {
		return
	}
	lines := s.state.live(s.opts)
	s.wipe()
	for _, l := range lines {
		fmt.Fprintln(s.out, clip(l, s.opts.Width))
	}
	s.lines = len(lines)
}

// clip cuts a line to a width so that it never wraps, which would break the redrawing.
func clip(line string, width int) string {
	r := []rune(line)
	if len(r) < width {
		return line
	}
	return string(r[:width-1])
}
