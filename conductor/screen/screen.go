package screen

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"

	"gameday/report"
)

// Options say how to show a run.
type Options struct {
	Terminal bool // redraw in place; otherwise one line per event
	Color    bool
	// Width returns the columns that the terminal has now; nil is 100. It is asked at each drawing.
	Width func() int
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
	drawn []int // the columns of each line that is drawn and not yet wiped

	closing sync.RWMutex
	closed  bool
}

// New returns a screen that writes to out until Close.
func New(out io.Writer, p *report.Plan, o Options) *Screen {
	if o.Width == nil {
		o.Width = func() int { return 100 }
	}
	s := &Screen{out: out, opts: o, events: make(chan report.Event, 4096), done: make(chan struct{}), state: newState(p, o.Blind)}
	go s.run()
	return s
}

// Observe takes one event. After Close it does nothing: a guard may have something to say still.
func (s *Screen) Observe(e report.Event) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return
	}
	select {
	case s.events <- e:
	default: // four thousand events behind: the record has them
	}
}

// Write prints text above the live lines, so that nothing else need write to the terminal meanwhile.
func (s *Screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	return s.out.Write(text)
}

// Close shows what is left to show and stops drawing.
func (s *Screen) Close() {
	s.closing.Lock()
	if !s.closed {
		s.closed = true
		close(s.events)
	}
	s.closing.Unlock()
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
	rest := ""
	if e.Kind == report.PreflightFound {
		line, rest, _ = strings.Cut(line, "\n")
	}
	fmt.Fprintf(s.out, "%8s  %s\n", clockTime(e.T), strings.TrimRight(plain(line), " "))
	for l := range strings.Lines(rest) {
		fmt.Fprintln(s.out, plain(strings.TrimSuffix(l, "\n")))
	}
}

// hidden reports whether an event would give the faults away in a blind run.
func (s *Screen) hidden(e report.Event) bool {
	if !s.opts.Blind || s.state.ended {
		return false
	}
	switch e.Kind {
	case report.Injecting, report.Injected, report.InjectFailed, report.Lapsed, report.Reverting, report.Reverted, report.Recovered, report.PodsReady:
		return true // but not RevertFailed: what may be left standing is told whoever plays
	case report.InjectAsked:
		return true
	case report.PreflightFound:
		var f report.Found
		decode(e, &f)
		return !f.Blocks && strings.HasPrefix(f.What, "kubernetes") // it speaks of what is to be hit
	case report.Noted:
		var n report.Note
		decode(e, &n)
		return n.Fault != ""
	}
	return e.Kind == report.ExpectSeen && strings.Contains(string(e.Data), `"fault.`)
}

// wipe removes the live lines. A terminal that was made narrower since has broken them into more rows.
func (s *Screen) wipe() {
	if len(s.drawn) == 0 {
		return
	}
	width, rows := max(1, s.opts.Width()), 0
	for _, n := range s.drawn {
		rows += max(1, (n+width-1)/width)
	}
	fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", rows)
	s.drawn = s.drawn[:0]
}

func (s *Screen) draw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.phase == "" || s.state.ended {
		return
	}
	lines := s.state.live(s.opts)
	s.wipe()
	width := s.opts.Width()
	for _, l := range lines {
		l = clip(plain(l), width)
		fmt.Fprintln(s.out, l)
		n := 0
		for _, c := range l {
			n += columns(c)
		}
		s.drawn = append(s.drawn, n)
	}
}

// plain keeps a line one line: what sources and people say may have line breaks and even the terminal's own codes in it.
func plain(line string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, line)
}

// clip cuts a line to less than a width so that it never wraps, which would break the redrawing.
func clip(line string, width int) string {
	used := 0
	for i, c := range line {
		if used += columns(c); used >= width {
			return line[:i]
		}
	}
	return line
}

// columns is how wide a terminal draws a character: the scripts and pictures of East Asia take two columns, marks that
// sit on the character before them none.
func columns(c rune) int {
	switch {
	case unicode.In(c, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case c >= 0x1100 && c <= 0x115f, c >= 0x2e80 && c <= 0xa4cf, c >= 0xac00 && c <= 0xd7a3, c >= 0xf900 && c <= 0xfaff,
		c >= 0xfe30 && c <= 0xfe6f, c >= 0xff00 && c <= 0xff60, c >= 0xffe0 && c <= 0xffe6, c >= 0x1f300 && c <= 0x1faff,
		c >= 0x20000 && c <= 0x3fffd:
		return 2
	}
	return 1
}
