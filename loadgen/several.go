package loadgen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// partLook is how often seconds are looked at that wait for somebody.
	partLook = 250 * time.Millisecond
	// mostHeld is how much longer a second waits where this end is held up again and again.
	mostHeld    = 10 * time.Second
	partBacklog = 256 // commands
)

// Way says how long what is said to generators, and what they say, may be on its way.
type Way struct {
	// Begin is how long before the first instant generators are told of it, and Lead before a command counts: what comes later is made up
	// for, and not by all at the same moment.
	Begin, Lead time.Duration
	// Late is how long after its end a second waits for a generator that has not said what it did.
	Late time.Duration
	// Together is how long a second waits at least for the others once one has told of it: what was held up on its way comes
	// from all of them, at about the same time.
	Together time.Duration
}

// network is the way over one.
var network = Way{Begin: 500 * time.Millisecond, Lead: 100 * time.Millisecond, Late: 1500 * time.Millisecond, Together: 300 * time.Millisecond}

// printed is the way by pods' logs, and by annotations that a kubelet hands on to their pods.
var printed = Way{Begin: 5 * time.Second, Lead: LogsLead, Late: 3 * time.Second, Together: 3 * time.Second}

// several is a stream that several generators send.
type several struct {
	spec  Spec
	parts []*part
	goOn  bool // without those that are lost once the stream has begun
	way   Way
	news  chan news
	seconds

	start   time.Time // the first instant, once it was given out
	ready   bool
	stopped bool      // everybody was told to stop
	held    []Command // came before the first instant was known
	result  error
	looked  time.Time // when it was last looked at what is new
}

// part is one of the generators.
type part struct {
	name      string
	generator Generator
	spec      Spec
	commands  chan Command
	begin     chan time.Time

	prepared, ready, ended bool
	failed                 bool      // it ended, and still owes what it should send
	last                   time.Time // end of the last second that it told of
}

// news is one thing that a part has to say.
type news struct {
	part            int
	prepared, ready bool
	window          *Window
	ended           bool
	err             error
}

func newSeveral(spec Spec, emit func(Window)) *several {
	return &several{spec: spec, news: make(chan news, 64), way: network, seconds: seconds{emit: emit}}
}

// run returns when all parts are gone.
func (s *several) run(ctx context.Context) error {
	s.seconds.parts, s.seconds.way = s.parts, s.way
	for i, p := range s.parts {
		go func() {
			err := p.generator.Run(ctx, p.spec, func(w Window) { s.news <- news{part: i, window: &w} })
			s.news <- news{part: i, ended: true, err: err}
		}()
	}
	commands := s.spec.Commands
	tick := time.NewTicker(partLook)
	defer tick.Stop()
	for s.some(func(p *part) bool { return !p.ended }) {
		select {
		case n := <-s.news:
			s.hear(ctx, n)
		case c, ok := <-commands:
			if c.Stop = c.Stop || !ok; c.Stop {
				commands = nil // nothing comes after a stop
			}
			s.command(c)
		case <-tick.C:
		}
		now := time.Now()
		s.look(now)
		s.flush(now)
	}
	s.flush(time.Now().Add(time.Hour))
	return s.result
}

// look takes note of when it is looked at what is new. When that is long after the last time, this end was held up, and much may have come
// meanwhile that it has not heard yet.
func (s *several) look(now time.Time) {
	if !s.looked.IsZero() && now.Sub(s.looked) > 2*partLook {
		s.awake = now
	}
	s.looked = now
}

func (s *several) some(is func(*part) bool) bool {
	for _, p := range s.parts {
		if is(p) {
			return true
		}
	}
	return false
}

func (s *several) hear(ctx context.Context, n news) {
	p := s.parts[n.part]
	switch {
	case n.window != nil:
		s.add(n.part, *n.window, time.Now())
	case n.prepared:
		p.prepared = true
	case n.ready:
		p.ready = true
	case n.ended:
		p.ended = true
		s.lose(ctx, p, n.err)
	}
	if s.start.IsZero() && !s.stopped && !s.some(func(p *part) bool { return !p.prepared && !p.ended }) {
		s.begin()
	}
	waiting := s.some(func(p *part) bool { return !p.ready && !p.ended })
	if !s.ready && !s.stopped && !waiting && s.some(func(p *part) bool { return p.ready }) {
		s.ready = true
		if s.spec.Ready != nil {
			s.spec.Ready()
		}
	}
}

// begin gives everybody the same first instant, a whole second of this machine's clock.
func (s *several) begin() {
	now := time.Now()
	s.start = now.Add(now.Add(s.way.Begin).Truncate(time.Second).Add(time.Second).Sub(now)) // not touched when the clock is set
	s.first = s.start
	for _, p := range s.parts {
		p.begin <- s.start
	}
	for _, c := range s.held {
		s.command(c)
	}
}

// command passes a command on: a change to all for the same instant, so that their arrivals stay interleaved.
func (s *several) command(c Command) {
	switch {
	case c.Stop:
		s.stop()
		return
	case s.stopped:
		return
	case s.start.IsZero():
		s.held = append(s.held, c)
		return
	case c.At == 0:
		c.At = max(1, time.Since(s.start)+s.way.Lead)
	}
	for _, p := range s.parts {
		select {
		case p.commands <- c:
		default: // it takes none any more, and will be found dead
		}
	}
}

func (s *several) stop() {
	if s.stopped {
		return
	}
	s.stopped = true
	s.over = time.Now()
	for _, p := range s.parts {
		close(p.commands)
	}
}

// lose takes note of a part's end. Scripts with executors of their own may end one after the other; any other end before the
// stop makes what is sent less than what was asked for, and ends the stream, or is said of each second from then on.
func (s *several) lose(ctx context.Context, p *part, err error) {
	ended := errors.Is(err, ErrEnded)
	if err == nil && !s.stopped && ctx.Err() == nil {
		err = errUnasked
	}
	if err == nil || (ended && s.spec.KeepExecutors) {
		if s.result == nil {
			s.result = err
		}
		return
	}
	err = fmt.Errorf("generator %s: %w", p.name, err)
	if s.goOn && !ended && ctx.Err() == nil && s.without(p, err) {
		return
	}
	if s.result == nil || errors.Is(s.result, ErrEnded) && !ended {
		s.result = err
	}
	if !s.stopped && ctx.Err() == nil {
		p.failed = true
		s.say(err.Error() + "; the other generators stop, because what they send is not what was asked for")
	}
	s.stop()
}

// errUnasked is what became of a part that says it was stopped, though nobody has stopped it.
var errUnasked = errors.New("it ended by itself")

// without goes on without a part that is lost, as long as there are others and the stream has begun.
func (s *several) without(p *part, err error) bool {
	switch {
	case s.start.IsZero():
		return false
	case s.stopped:
		p.failed = true // nor is what it did in seconds before the stop that it has not told of
		s.say(fmt.Sprintf("%s; what it did last is not known", err))
		return true
	case !s.some(func(p *part) bool { return !p.ended }):
		return false
	}
	p.failed = true
	since := p.last
	if since.IsZero() {
		since = s.start
	}
	s.say(fmt.Sprintf("%s. From %s on nothing is known of its share, 1/%d of the traffic: less was sent than was asked for, and what is "+
		"measured is of the others alone", err, since.Format(time.TimeOnly), len(s.parts)))
	return true
}

func (s *several) say(warning string) {
	if s.spec.Log != nil {
		s.spec.Log("warning", warning)
	}
}

// seconds merges what the parts did in each second.
type seconds struct {
	emit  func(Window)
	parts []*part
	way   Way
	first time.Time // of the oldest second that was not emitted; like all of them by the monotonic clock too
	over  time.Time // when all were told to stop; zero before
	awake time.Time // when this end was last held up, the end of that: it is not the parts that are late then
	cells []*second
}

// second is one that was not emitted yet.
type second struct {
	Window
	from []bool    // by part
	told time.Time // when the first one told of it, or of a later one
	// By part, what it said was due, and whether it told before the second was over: it then was at its end, and what it told is of the
	// time up to that.
	due   []uint64
	early []bool
}

// add takes a part's window. What comes too late for a second that was emitted counts in the oldest one still open, but
// for what was due then: that is counted.
func (s *seconds) add(from int, w Window, now time.Time) {
	w.Generators = []NamedLoad{{Name: s.parts[from].name, Load: w.Generator}}
	if end := w.Start.Add(time.Second); end.After(s.parts[from].last) {
		s.parts[from].last = end
	}
	i := int(w.Start.Sub(s.first).Round(time.Second) / time.Second)
	if i < 0 {
		w.Due = 0
		s.cell(0).merge(w)
		return
	}
	c := s.cell(i)
	for _, earlier := range s.cells[:i+1] { // those that it has not told of may be told of by others, who are heard again when it is
		if earlier.told.IsZero() {
			earlier.told = now
		}
	}
	c.from[from], c.early[from] = true, now.Before(c.Start.Add(time.Second))
	c.due[from] += w.Due
	c.merge(w)
}

// merge adds a part's window. What a generator used is of one second, also where several of its windows come together: added up it
// would look like more than it has.
func (c *second) merge(w Window) {
	if slices.ContainsFunc(c.Generators, func(l NamedLoad) bool { return l.Name == w.Generators[0].Name }) {
		w.Generator = Load{Lateness: w.Generator.Lateness}
		w.Generators[0].Load = w.Generator
	}
	c.Merge(w)
}

func (s *seconds) cell(i int) *second {
	for len(s.cells) <= i {
		at := s.first.Add(time.Duration(len(s.cells)) * time.Second)
		s.cells = append(s.cells, &second{Window: Window{Start: at}, from: make([]bool, len(s.parts)), due: make([]uint64, len(s.parts)),
			early: make([]bool, len(s.parts))})
	}
	return s.cells[i]
}

// flush emits the seconds of which everybody has told, or waited for long enough.
func (s *seconds) flush(now time.Time) {
	for len(s.cells) > 0 {
		c := s.cells[0]
		due, together := c.Start.Add(time.Second+s.way.Late), c.told.Add(s.way.Together)
		held := !now.After(s.awake.Add(s.way.Late)) && !(now.After(due.Add(mostHeld)) && now.After(together.Add(mostHeld)))
		late := now.After(due) && now.After(together) && !held
		told, missing := 0, []string(nil)
		for i, p := range s.parts {
			switch {
			case c.early[i] && !p.ended && s.over.IsZero() && !late:
				return // it is about to end, and how is not known yet
			case c.from[i] && !(c.early[i] && p.failed):
				told++
			case p.failed || !p.ended:
				missing = append(missing, p.name)
				c.Due -= c.due[i]
				if !p.ended && !late {
					return
				}
			}
		}
		if told > 0 { // those that do not tell owe as much as the others: segments are equal
			c.Due += uint64(float64(c.Due) * float64(len(missing)) / float64(told))
		}
		if len(missing) > 0 && (s.over.IsZero() || c.Start.Before(s.over)) { // after a stop nobody need tell of anything
			c.Missing, c.Of = slices.Sorted(slices.Values(missing)), len(s.parts)
		}
		s.cells, s.first = s.cells[1:], s.first.Add(time.Second)
		if told > 0 || c.Stream != "" { // else nothing is known of it
			c.Start = c.Start.Round(0)
			s.emit(c.Window)
		}
	}
}
