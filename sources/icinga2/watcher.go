package icinga2

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/clock"
	"gameday/sources/looks"
)

const (
	// mostWatched bounds the hosts and services that are read at each look, of those of interest.
	mostWatched = 200
	// mostLine bounds one event; the output of a check is in it.
	mostLine = 4 << 20
	// inFlight is how long an event may be on its way after what it tells of can be read. Icinga 2.13.6 was measured to hold events
	// back for up to 5 s now and then, when one comes just as it begins to wait for the next.
	inFlight = 8 * time.Second
	// firstPause is that before the stream is opened again; it doubles with each further try, up to longestPause.
	firstPause   = 200 * time.Millisecond
	longestPause = 5 * time.Second
	// grace is by how much a check may be late before the server counts as not checking.
	grace = 10 * time.Second
)

// Snapshot is what stands at one time.
type Snapshot struct {
	Span          clock.Span // between question and answer
	Offset        clock.Offset
	Checkables    map[string]*Checkable // of interest
	Notifications map[string][]*Notification
	Users         map[string]bool
	Comments      []Comment
}

// Ours converts an instant of the server's clock.
func (s *Snapshot) Ours(at time.Time) clock.Interval { return s.Offset.Ours(at, time.Microsecond) }

// Health is how well the server can be followed.
type Health string

// The three healths.
const (
	Reachable   Health = "reachable"
	Unreachable Health = "unreachable"
	Broken      Health = "broken" // it answers, and cannot know
)

// Handler is told what happens, by one goroutine.
type Handler interface {
	// Begin is told what stands once the stream is open: at first with an empty gap, and after each break with the time in which
	// anything may have been missed.
	Begin(s *Snapshot, gap clock.Span)
	// Event is told of an event about a host or service of interest. now is how it stands after the event.
	Event(ctx context.Context, e Event, now *Checkable)
	// Look is told how the watched ones stand when nothing was missed.
	Look(now map[string]*Checkable, at clock.Interval)
	// Health is told of changes.
	Health(h Health, why string, at clock.Interval)
}

// Watcher follows the stream of events. Follow may be called by one goroutine at a time, the rest concurrently.
type Watcher struct {
	Client *Client
	// People makes it read notifications, users and comments too, and hold the stream against them.
	People bool

	account  *looks.Account
	asks     chan chan struct{}
	patience time.Duration // with an event that is on its way

	mu        sync.Mutex
	following bool
	cuts      []looks.Fault // in which the stream was not there
	offset    clock.Offset
}

// NewWatcher returns a watcher.
func NewWatcher(c *Client, people bool) *Watcher {
	return &Watcher{Client: c, People: people, account: looks.New(c.options.poll), asks: make(chan chan struct{}), patience: inFlight}
}

// Permissions returns what the API user must be permitted to be followed.
func (w *Watcher) Permissions() []string {
	out := []string{"status/query", "objects/query/Host", "objects/query/Service"}
	if w.People {
		out = append(out, "objects/query/Notification", "objects/query/User", "objects/query/Comment")
	}
	for _, t := range eventTypes {
		out = append(out, "events/"+string(t))
	}
	return out
}

// Follow follows the stream until ctx ends, and carries on over every break.
func (w *Watcher) Follow(ctx context.Context, sel Selection, h Handler) {
	w.set(func() { w.following = true })
	defer w.set(func() { w.following = false })
	f := &following{Watcher: w, sel: sel, handler: h, health: Reachable}
	for pause := firstPause; ; {
		err := f.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if f.began {
			pause = firstPause
		}
		f.broke(err)
		if !f.rest(ctx, pause) {
			return
		}
		pause = min(2*pause, longestPause)
	}
}

func (w *Watcher) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// Offset returns the server's clock offset as it was measured last.
func (w *Watcher) Offset() clock.Offset {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.offset
}

// Covered returns the parts of a span in which nothing can have been missed, and why the rest is left out. It looks once more
// before it answers, so that the last moments count.
func (w *Watcher) Covered(ctx context.Context, span clock.Span) ([]clock.Span, []string) {
	w.mu.Lock()
	following := w.following
	w.mu.Unlock()
	if following {
		done := make(chan struct{})
		limit := time.NewTimer(w.patience + 2*w.Client.options.web.Timeout)
		defer limit.Stop()
		select {
		case w.asks <- done:
			select {
			case <-done:
			case <-limit.C:
			case <-ctx.Done():
			}
		case <-limit.C:
		case <-ctx.Done():
		}
	}
	w.mu.Lock()
	cuts := slices.Clone(w.cuts)
	w.mu.Unlock()
	holes := make([]clock.Span, len(cuts))
	for i := range cuts {
		cuts[i].Span = counting(cuts[i].Span, w.Client.options.poll)
		holes[i] = cuts[i].Span
	}
	spans := looks.Without(looks.Clip(w.account.Spans(), span), holes)
	return spans, looks.Explain(spans, span, append(cuts, w.account.Faults()...), 2*w.Client.options.poll, "nobody was watching")
}

// following is one Follow.
type following struct {
	*Watcher
	sel     Selection
	handler Handler
	health  Health

	began bool // this session came to its Begin
	once  bool // one did
	cut   bool // the last of cuts is still open
	snap  *Snapshot
	// watched are read at each look.
	watched map[string]*Checkable
	heard   map[string]*heard
	looks   []look // that are not settled, in order
	finals  []final
}

// turn tells of a change of health.
func (f *following) turn(to Health, why string, at time.Time) {
	if f.health == to {
		return
	}
	f.health = to
	i := clock.At(at)
	if last := f.account.Last(); !last.IsZero() {
		i = clock.Between(last, at)
	}
	f.handler.Health(to, why, i)
}

// broke books the end of a session. What happened since the last good look may have been missed.
func (f *following) broke(err error) {
	now := time.Now()
	from := f.account.Last()
	if from.IsZero() {
		f.account.Bad(now, err.Error()) // nothing was covered yet
	}
	f.set(func() {
		switch {
		case f.cut:
			f.cuts[len(f.cuts)-1].Span.End = now
		case !from.IsZero():
			f.cuts, f.cut = append(f.cuts, looks.Fault{Span: clock.Span{Start: from, End: now}, Why: "the event stream was not there: " + err.Error()}), true
		}
	})
	f.turn(Unreachable, err.Error(), now)
	f.began, f.looks = false, nil
	f.answer(now)
}

// counting makes a gap one that counts. Whoever judges forgives a gap of one look, or of a second, because what comes in it is seen after it: by
// looking. What a stream told while nobody listened is gone, however short it was.
func counting(gap clock.Span, poll time.Duration) clock.Span {
	if least := max(poll, time.Second) + 100*time.Millisecond; gap.Length() < least {
		gap.Start = gap.End.Add(-least)
	}
	return gap
}

// rest waits before the next session; it returns false when ctx has ended.
func (f *following) rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case done := <-f.asks:
			close(done)
		}
	}
}

// line is one line of the stream, or its end.
type line struct {
	text []byte
	at   time.Time
	err  error
}

// session opens the stream, reads what stands, and follows until something breaks.
func (f *following) session(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	may, err := f.Client.Permissions(ctx)
	if err != nil {
		return err
	}
	for _, p := range f.Permissions() {
		if has, _ := may.Has(p); !has {
			return fmt.Errorf("the API user %s has no permission %s", f.Client.options.web.Username, p)
		}
	}
	all, _, _, err := f.Client.checkables(ctx)
	if err != nil {
		return err
	}
	f.choose(all)
	body, err := f.Client.events(ctx, f.watched)
	if err != nil {
		return err
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer body.Close()
	defer cancel()
	lines := make(chan line, 1024)
	reading.Go(func() { read(ctx, body, lines) })
	if err := f.begin(ctx); err != nil {
		return err
	}
	return f.listen(ctx, lines)
}

// choose picks those of interest, and of them those to look at.
func (f *following) choose(all map[string]*Checkable) {
	maps.DeleteFunc(all, func(_ string, c *Checkable) bool { return !f.sel.Wanted(c) })
	f.snap = &Snapshot{Checkables: all}
	f.watched = map[string]*Checkable{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if len(f.watched) < mostWatched {
			f.watched[name] = all[name]
		}
	}
}

// begin reads what stands, now that the stream tells of what changes.
func (f *following) begin(ctx context.Context) error {
	status, err := f.Client.Status(ctx)
	if err != nil {
		return err
	}
	f.set(func() { f.offset = status.Offset })
	f.snap.Offset = status.Offset
	if len(f.snap.Checkables) > len(f.watched) {
		var all map[string]*Checkable
		if all, f.snap.Span.Start, f.snap.Span.End, err = f.Client.checkables(ctx); err == nil {
			watched := slices.Collect(maps.Keys(f.watched))
			span := f.snap.Span
			f.choose(all)
			f.snap.Span, f.snap.Offset = span, status.Offset
			maps.DeleteFunc(f.watched, func(name string, _ *Checkable) bool { return !slices.Contains(watched, name) })
		}
	} else {
		f.snap.Checkables, f.snap.Span.Start, f.snap.Span.End, err = f.Client.again(ctx, f.watched)
		f.watched = f.snap.Checkables
	}
	if err != nil {
		return err
	}
	if len(f.snap.Checkables) == 0 {
		f.snap.Span = clock.Span{Start: time.Now(), End: time.Now()}
	}
	if f.People {
		if f.snap.Notifications, f.snap.Users, err = f.Client.people(ctx); err != nil {
			return err
		}
		if f.snap.Comments, err = f.Client.comments(ctx); err != nil {
			return err
		}
	}
	f.heard, f.looks = map[string]*heard{}, nil
	for name, c := range f.snap.Checkables {
		h := &heard{changed: later(c.Since, c.HardSince), checked: c.Checked, acknowledged: c.AcknowledgedAt}
		for _, n := range f.snap.Notifications[name] {
			h.notified = later(h.notified, n.Last)
		}
		f.heard[name] = h
	}
	gap := clock.Span{}
	if f.once {
		gap = clock.Span{Start: f.account.Last(), End: f.snap.Span.Start}
	}
	f.set(func() {
		if f.cut {
			f.cuts[len(f.cuts)-1].Span.End, f.cut = f.snap.Span.Start, false
		}
	})
	f.handler.Begin(f.snap, gap)
	f.began, f.once = true, true
	f.account.Good(f.snap.Span.Start)
	f.turn(Reachable, "", f.snap.Span.Start)
	return nil
}

// listen takes the stream's lines, and looks every so often.
func (f *following) listen(ctx context.Context, lines <-chan line) error {
	next := time.NewTimer(f.Client.options.poll)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case l := <-lines:
			if l.err != nil {
				return l.err
			}
			if err := f.take(ctx, l); err != nil {
				return err
			}
		case done := <-f.asks:
			f.finals = append(f.finals, final{time.Now(), done})
			next.Reset(0)
			continue
		case <-next.C:
			if err := f.look(ctx); err != nil {
				return err
			}
			next.Reset(f.Client.options.poll)
		}
		if err := f.settle(); err != nil {
			return err
		}
	}
}

// take takes one line of the stream.
func (f *following) take(ctx context.Context, l line) error {
	e, err := parse(l.text)
	if err != nil {
		return err
	}
	e.Received, e.At = l.at, f.snap.Ours(e.Stamp)
	switch {
	case e.At.Lo.After(l.at): // one of the clocks was set
		e.At = clock.Between(f.account.Last(), l.at)
	case e.At.Hi.After(l.at):
		e.At.Hi = l.at
	}
	now := f.snap.Checkables[e.Checkable]
	if now == nil {
		return nil
	}
	h := f.heard[e.Checkable]
	if e.about(CheckResult) && e.Checked.Before(now.Checked) || e.about(StateChange) && !e.Checked.After(h.changed) {
		return nil // what was read when the stream was opened tells of it already
	}
	h.hear(e)
	now.apply(e)
	f.handler.Event(ctx, e, now)
	return nil
}

// apply brings a host or service to how it stands after an event.
func (c *Checkable) apply(e Event) {
	switch e.Type {
	case CheckResult, StateChange:
		c.Acknowledged, c.Downtime, c.Unreachable = e.Acknowledged, e.Downtime, e.Unreachable
		c.Checked, c.Output = e.Checked, e.Output
		if e.about(StateChange) {
			c.State, c.Hard, c.Since = e.State, e.Hard, e.Checked
			if e.Hard {
				c.HardSince = e.Checked
			}
		}
	case AcknowledgementSet:
		c.Acknowledged = true
	case AcknowledgementCleared:
		c.Acknowledged = false
	case DowntimeStarted, DowntimeTriggered:
		c.Downtime = true
	case Flapping:
		c.Flapping = e.IsFlapping
	}
}

// rules returns the names of the notifications of the watched ones.
func (f *following) rules() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(f.watched)) {
		for _, n := range f.snap.Notifications[name] {
			out = append(out, n.Name)
		}
	}
	return out
}

// events opens the stream. Results of checks come with it for the watched ones alone: they are its sign of life.
func (c *Client) events(ctx context.Context, watched map[string]*Checkable) (io.ReadCloser, error) {
	filter := []string{`event.type != "CheckResult"`}
	for _, name := range slices.Sorted(maps.Keys(watched)) {
		w := watched[name]
		service := "!event.service"
		if w.Service != "" {
			service = "event.service == " + literal(w.Service)
		}
		filter = append(filter, fmt.Sprintf("(event.host == %s && %s)", literal(w.Host), service))
	}
	return c.web.Stream(ctx, "/v1/events", map[string]any{"queue": "gameday-" + rand.Text(), "types": eventTypes, "filter": strings.Join(filter, " || ")})
}

// literal writes a text as Icinga's language does.
func literal(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(text) + `"`
}

// read reads the stream's lines until it ends.
func read(ctx context.Context, body io.Reader, to chan<- line) {
	scanner := bufio.NewScanner(body)
	scanner.Buffer(nil, mostLine)
	send := func(l line) bool {
		select {
		case to <- l:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for scanner.Scan() {
		if len(scanner.Bytes()) > 0 && !send(line{text: slices.Clone(scanner.Bytes()), at: time.Now()}) {
			return
		}
	}
	err := scanner.Err()
	if err == nil {
		err = errors.New("the server ended it")
	}
	send(line{err: fmt.Errorf("it broke: %w", err)})
}
