// Package crier tells people what happens to game days: it makes messages of what it is told of occasions, runs and rehearsals,
// keeps them on disk, and has them delivered in the background. Nothing waits for it, and nothing that goes wrong with it changes
// what becomes of a game day: what could not be delivered is said, kept, and tried again by whoever comes next.
package crier

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/announce"
	"gameday/announce/deliver"
	"gameday/announce/told"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// Config is what a crier is made of.
type Config struct {
	Box *told.Folder
	// Channels are all channels of a calendar.
	Channels []*announce.Channel
	Sender   *deliver.Sender
	By, Host string // who works here, and on which machine
	// Now is the clock, time.Now when it is nil.
	Now func() time.Time
	// Say tells the one who works here a sentence. Nil tells nobody.
	Say func(text string)
	// Result judges a run that a message watches, and that has ended without anybody being told. Nil judges none.
	Result func(watch string) announce.Result
	// Done is called with what became of each message, for the audit log. Nil is told nothing.
	Done func(told.Report)
}

// Crier tells people. A nil one tells nobody. Its methods are safe for concurrent use.
type Crier struct {
	Config
	kick chan struct{}

	held     sync.Mutex
	watching map[string]*told.Watching // by its message's key: of runs whose end is to be told here
	unready  map[string]string         // by its ID: why a channel cannot be told from here, of which something is due
	unkept   map[string]bool           // by its key: what could not be kept, of which that was said

	mu      sync.Mutex // one flushes at a time
	trouble string     // what the last one could not read
	started bool
	stop    context.CancelFunc
	gone    chan struct{}
}

// New returns a crier, or nil where there is nobody to tell.
func New(c Config) *Crier {
	if len(c.Channels) == 0 {
		return nil
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Say == nil {
		c.Say = func(string) {}
	}
	if c.Done == nil {
		c.Done = func(told.Report) {}
	}
	out := &Crier{Config: c, kick: make(chan struct{}, 1), watching: map[string]*told.Watching{}, unready: map[string]string{}, unkept: map[string]bool{}}
	c.Box.Ready = out.ready
	return out
}

// of returns the channels of some scope, beside those of the whole calendar.
func (c *Crier) of(scope string) []*announce.Channel {
	var out []*announce.Channel
	for _, x := range c.Channels {
		if x.Scope == "" || x.Scope == scope {
			out = append(out, x)
		}
	}
	return out
}

// post keeps a message that is to be told, and reports whether what is wanted is kept. A disk that does not take it is said, once until it does.
func (c *Crier) post(d announce.Draft, wanted bool) bool {
	if !wanted {
		return true
	}
	fresh, err := c.Box.Post(d, c.Now())
	c.held.Lock()
	said := c.unkept[d.Key]
	delete(c.unkept, d.Key)
	if err != nil {
		c.unkept[d.Key] = true
	}
	c.held.Unlock()
	if err != nil && !said {
		c.Say(d.Channel + " is not told: " + err.Error())
	}
	if err != nil {
		return false
	}
	if fresh {
		select {
		case c.kick <- struct{}{}:
		default:
		}
	}
	return true
}

// Day returns what announcements need of an occasion.
func Day(s *schedules.Schedule, o *schedules.Occasion) *announce.Day {
	d := &announce.Day{Schedule: s.Name, Occasion: o.ID, Blind: s.Blind(), Open: s.Window == nil, Zone: s.Zone, Moment: o.Moment}
	for _, x := range s.Items {
		d.Scenarios = append(d.Scenarios, x.Scenario)
	}
	for _, w := range o.Windows {
		d.Hours = append(d.Hours, announce.Span{From: w.From, To: w.To})
	}
	return d
}

// farthest bounds how many occasions of a schedule are looked at: of one that comes every minute, and is announced weeks ahead.
const farthest = 200

// Coming announces what is ahead, and not settled. It is asked again and again; what was announced is not announced again. When
// something is announced depends on hours alone, and not on moments: those who may not know of a blind one hear its hours also when it has begun or was skipped, for
// that they do not would tell it. If the caller may have been called because a moment came, opened is false: then
// those who may not know it hear nothing of hours that have opened.
func (c *Crier) Coming(all []*schedules.Schedule, state schedules.State, seed schedules.Seed, opened bool) {
	if c == nil {
		return
	}
	now := c.Now()
	for _, s := range all {
		channels := c.of(s.Name)
		ahead := time.Duration(0)
		for _, x := range channels {
			ahead = max(ahead, x.Ahead)
		}
		n := 0
		for o := range s.Upcoming(now, seed) {
			if n++; o.Opens().After(now.Add(ahead)) || n > farthest {
				break
			}
			if o.Why != "" {
				continue
			}
			settled := slices.ContainsFunc(state.Settled, func(x schedules.Settled) bool { return x.Schedule == s.Name && x.ID == o.ID })
			for _, x := range channels {
				hidden := s.Blind() && x.To != announce.Facilitators
				if !hidden && settled || hidden && !opened && !o.Opens().After(now) {
					continue
				}
				d, wanted := x.Coming(Day(s, &o))
				c.post(d, wanted && !d.NotBefore.After(now))
			}
		}
	}
}

// Begun says that an occasion was begun. late says, for people, that it makes up for others or is late; empty is neither.
func (c *Crier) Begun(s *schedules.Schedule, o *schedules.Occasion, late string) {
	if c == nil {
		return
	}
	for _, x := range c.of(s.Name) {
		c.post(x.Begun(Day(s, o), c.Now(), late))
	}
}

// longAgo is how long after the hours of an occasion nobody cares any more that it did not take place.
const longAgo = 3 * 24 * time.Hour

// NotHeld says that an occasion was skipped, or missed.
func (c *Crier) NotHeld(s *schedules.Schedule, o *schedules.Occasion, why string, missed bool) {
	if c != nil {
		c.notHeld(s, o, why, missed, c.Now())
	}
}

// notHeld says that an occasion was skipped, or missed, as was settled at an instant.
func (c *Crier) notHeld(s *schedules.Schedule, o *schedules.Occasion, why string, missed bool, at time.Time) {
	if c.Now().Sub(o.Closes()) > longAgo {
		return
	}
	for _, x := range c.of(s.Name) {
		if schedules.Collision(why) {
			c.post(x.Collided(Day(s, o), why, at))
			continue
		}
		c.post(x.NotHeld(Day(s, o), why, missed, at))
	}
}

// Ended says how an occasion ended, and reports whether that is kept for everybody who is to hear it.
func (c *Crier) Ended(s *schedules.Schedule, o *schedules.Occasion, e announce.End) bool {
	if c == nil {
		return true
	}
	for _, kept := range c.end(Day(s, o), s.Name, e) {
		if !kept {
			return false
		}
	}
	return true
}

// end posts how a day ended, and returns the channels of which what they are to hear is kept.
func (c *Crier) end(d *announce.Day, scope string, e announce.End) map[*announce.Channel]bool {
	kept := map[*announce.Channel]bool{}
	for _, x := range c.of(scope) {
		kept[x] = c.post(x.Ended(d, e))
	}
	return kept
}

// RunBegun says that a run by hand has begun, to the channels of the whole calendar, and has whoever comes next say so if it dies before its end.
func (c *Crier) RunBegun(d *announce.Day, at time.Time) {
	if c == nil {
		return
	}
	for _, x := range c.of("") {
		c.post(x.Begun(d, at, ""))
		if d, wanted := x.Unfinished(d, at, c.By, c.Host); wanted {
			c.watch(d)
		}
	}
}

// watch keeps a message that others tell when this process dies.
func (c *Crier) watch(d announce.Draft) {
	w, err := c.Box.Watch(d, c.Now())
	if err != nil {
		c.Say(d.Channel + " will not be told if this is killed: " + err.Error())
	}
	if w != nil {
		c.held.Lock()
		c.watching[d.Key] = w
		c.held.Unlock()
	}
}

// RunEnded says how a run by hand ended that began at an instant, of which RunBegun was told here. Where that cannot be kept it is left to whoever comes next.
func (c *Crier) RunEnded(d *announce.Day, began time.Time, e announce.End) {
	if c == nil {
		return
	}
	kept := c.end(d, "", e)
	for _, x := range c.of("") {
		watch, wanted := x.Unfinished(d, began, c.By, c.Host)
		if !wanted || !kept[x] {
			continue
		}
		c.held.Lock()
		w := c.watching[watch.Key]
		delete(c.watching, watch.Key)
		c.held.Unlock()
		const why = "it has ended"
		var err error
		if w != nil {
			err = w.Drop(why, c.By, c.Now())
		} else {
			err = c.Box.Drop(watch.Key, why, c.By, c.Now())
		}
		if err != nil {
			c.Say(err.Error())
		}
	}
}

// Unfinished says of occasions that whoever had begun them died. held is what runs in progress hold on this machine: a run may go on
// when whoever began it is dead.
func (c *Crier) Unfinished(all []*schedules.Schedule, list []claims.Claim, held []schedules.Held) {
	if c == nil {
		return
	}
	for _, x := range list {
		if c.Now().Sub(x.At) > longAgo || goesOn(x, held) {
			continue
		}
		for _, s := range all {
			if s.Name != x.Schedule {
				continue
			}
			d := &announce.Day{Schedule: x.Schedule, Occasion: x.Occasion, Blind: x.Blind || s.Blind(), Zone: s.Zone, Open: s.Window == nil,
				Hours: []announce.Span{{From: x.Opens, To: x.Closes}}}
			for _, i := range s.Items {
				d.Scenarios = append(d.Scenarios, i.Scenario)
			}
			for _, ch := range c.of(s.Name) {
				c.post(ch.Unfinished(d, x.At, x.By, x.Host))
			}
		}
	}
}

// goesOn reports whether a run in progress holds what a claim has for itself: a scenario of that name.
func goesOn(x claims.Claim, held []schedules.Held) bool {
	return slices.ContainsFunc(held, func(h schedules.Held) bool {
		return slices.ContainsFunc(h.Holds, func(what string) bool { return strings.HasPrefix(what, "scenario ") && slices.Contains(x.Holds, what) })
	})
}

// Rehearsed says what a rehearsal has come to; judged makes the judgement that an audience may know. A channel whose newest message of the rehearsal says the same is
// not told again. One that heard something else since then is: people hold what they heard last. It reports whether that is kept for everybody who is to hear it.
func (c *Crier) Rehearsed(scope string, judged func(announce.Audience) announce.Judgement) bool {
	if c == nil {
		return true
	}
	list, err := c.Box.List()
	if err != nil {
		c.Say(err.Error())
	}
	kept := true
	for _, x := range c.of(scope) {
		kept = c.post(judgedAnew(x, judged(x.To), list)) && kept
	}
	return kept
}

// judgedAnew returns what a channel is told of a judgement, unless the newest of what it was told of the rehearsal is the same.
func judgedAnew(x *announce.Channel, j announce.Judgement, list []told.Kept) (announce.Draft, bool) {
	var newest *told.Kept
	keys := map[string]bool{}
	for i := range list {
		k := &list[i]
		if facts := k.Draft.Message.Facts; k.Draft.Channel != x.ID() || facts == nil || facts.Rehearsal != j.Rehearsal {
			continue
		}
		keys[k.Draft.Key] = true
		if newest == nil || k.Posted.After(newest.Posted) {
			newest = k
		}
	}
	for {
		d, wanted := x.Rehearsed(j)
		if !wanted || newest != nil && newest.Draft.Key == d.Key {
			return d, false
		}
		if !keys[d.Key] {
			return d, true
		}
		j.Again++
	}
}

// Limited reports whether any channel has a limit on how long ago scenarios may last have passed.
func (c *Crier) Limited() bool {
	return c != nil && slices.ContainsFunc(c.Channels, func(x *announce.Channel) bool { return x.StaleAfter > 0 })
}

// Stale says which scenarios of a schedule have not passed for too long.
func (c *Crier) Stale(schedule string, ages []announce.Age) {
	if c == nil {
		return
	}
	for _, x := range c.of(schedule) {
		for _, a := range ages {
			c.post(x.TooOld(a, c.Now()))
		}
	}
}

// Flush delivers what is due, and returns when something else is; zero is never. It ends when ctx does.
func (c *Crier) Flush(ctx context.Context) (next time.Time) {
	if c == nil {
		return time.Time{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	byID := map[string]*announce.Channel{}
	for _, x := range c.Channels {
		byID[x.ID()] = x
	}
	done, next, err := c.Box.Flush(ctx, c.Now, c.By, func(id string) bool { return byID[id] != nil }, func(ctx context.Context, d announce.Draft) announce.Outcome {
		return c.Sender.Send(ctx, byID[d.Channel], c.message(byID[d.Channel], d))
	})
	for _, r := range done {
		c.Done(r)
		if text := Words(r); text != "" {
			c.Say(text)
		}
		if r.Line.What == told.Failed && (next.IsZero() || r.Line.Next.Before(next)) {
			next = r.Line.Next
		}
	}
	switch {
	case err == nil:
		c.trouble = ""
	case err.Error() != c.trouble: // once, and not each time
		c.trouble = err.Error()
		c.Say(c.trouble)
	}
	return next
}

// message returns what is told by a draft. Where it watches a run that has ended after all, that is how it ended.
func (c *Crier) message(x *announce.Channel, d announce.Draft) *announce.Message {
	if d.Watch == "" || c.Result == nil || c.Box.Fate == nil || c.Box.Fate(d.Watch) != told.FateEnded {
		return &d.Message
	}
	r := c.Result(d.Watch)
	ended, wanted := x.Ended(&announce.Day{Scenarios: []string{r.Scenario}, Run: d.Watch}, announce.End{At: c.Now(), Results: []announce.Result{r}})
	if !wanted { // it asks for runs that did not end alone
		m := d.Message
		m.Title, m.Lines = "Game day "+r.Scenario+" has ended, and the gameday that would have told it was killed", []string{"look: gameday report " + r.Record}
		return &m
	}
	ended.Message.Lines = append(ended.Message.Lines, "The gameday that would have told this was killed.")
	return &ended.Message
}

// Words says what became of a message where people have to know: empty of one that was delivered.
func Words(r told.Report) string {
	head := r.Draft.Channel + " was not told \"" + r.Draft.Message.Title + "\": " + r.Line.Why
	switch r.Line.What {
	case told.Failed:
		return head + "; it is tried again by whoever comes after " + r.Line.Next.UTC().Format("15:04:05 UTC")
	case told.GivenUp:
		return head + "; it is not tried again"
	case told.Expired:
		return head
	}
	return ""
}

// Start delivers in the background from now on, until Close.
func (c *Crier) Start() {
	if c == nil || c.started {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	c.started, c.stop, c.gone = true, stop, make(chan struct{})
	go func() {
		defer close(c.gone)
		for {
			next := c.Flush(ctx)
			wait := time.Hour // others may have put something in
			if !next.IsZero() {
				wait = min(wait, max(time.Second, next.Sub(c.Now())))
			}
			t := time.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-c.kick:
			case <-t.C:
			}
			t.Stop()
			if ctx.Err() != nil {
				return
			}
		}
	}()
}

// Close waits until what is due now is delivered or has failed, for a limit at most and until ctx ends, and then ends the background.
// What is left is for whoever comes next.
func (c *Crier) Close(ctx context.Context, limit time.Duration) {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("the time for it is over"))
	defer cancel()
	if c.started {
		over := context.AfterFunc(ctx, c.stop) // what it is at ends when the limit does
		defer over()
	}
	c.Flush(ctx)
	if c.started {
		c.stop()
		<-c.gone
	}
}
