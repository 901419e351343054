package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gameday/announce"
	"gameday/announce/crier"
	"gameday/announce/told"
	"gameday/rehearsals"
	"gameday/scenarios"
	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve"
)

// How often a server looks what is to be told.
const (
	servedEvery = time.Minute
	staleEvery  = time.Hour // goes through all records
	servedSoon  = time.Second
	servedGrace = 5 * time.Second // for an answer that is awaited at the end: a message that was taken is not to be sent again
)

// criers tell the people of a server's calendars, in the background, what is ahead, what did not come to its end, what has not passed for too long, what rehearsals have come to for
// which somebody signs on a page, and what could not be told before. That something begins, is skipped or ends, the processes tell that the server starts. Its methods are safe for concurrent use, and wait for
// nothing but Close.
type criers struct {
	app                *app
	state, runs, audit string // the folder below which calendars have theirs, that of the records, and the file of the audit log

	mu      sync.Mutex
	all     map[string]*servedCrier // by the calendar's file
	running sync.WaitGroup
}

// servedCrier tells the people of one calendar.
type servedCrier struct {
	calendar *scenarios.Calendar // as it was read last
	signed   []string            // rehearsals for which somebody has signed, of which nobody was told yet
	poke     chan struct{}
	stop     context.CancelFunc

	// What was read once is not read again, and what was said once is not said again. Only whoever tells uses them.
	tells  *crier.Crier
	reader *claims.Reader
	unseen map[string]string // by the rehearsal's name: why it was not told what that has come to
}

// newCriers returns criers that tell nobody yet. Their folders must be set before a calendar is used.
func (a *app) newCriers(audit string) *criers {
	return &criers{app: a, audit: audit, all: map[string]*servedCrier{}}
}

// adopted has the people of a calendar told from now on.
func (c *criers) adopted(served *serve.Calendar) {
	if cal, ok := served.Own.(*scenarios.Calendar); ok {
		c.use(cal)
	}
}

// hear has somebody look when something has become of an occasion. That one is ahead is looked at every minute.
func (c *criers) hear(e serve.Event) { c.look(e.Calendar.Name) }

// use has the people of a calendar told from now on. It takes the place of one of the same file; calendars are read again and again. Under another
// name it has other game days, and those who were told of the old ones hear no more of them.
func (c *criers) use(cal *scenarios.Calendar) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.all[cal.File]; s != nil {
		if s.calendar.Name == cal.Name {
			s.calendar = cal
			return
		}
		s.stop()
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &servedCrier{calendar: cal, poke: make(chan struct{}, 1), stop: stop}
	c.all[cal.File] = s
	c.running.Go(func() { c.tell(ctx, s) })
}

// current returns a calendar as it was read last.
func (c *criers) current(s *servedCrier) *scenarios.Calendar {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.calendar
}

// look has somebody look now: something has become of an occasion of a calendar.
func (c *criers) look(calendar string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.all {
		if s.calendar.Name != calendar {
			continue
		}
		select {
		case s.poke <- struct{}{}:
		default:
		}
	}
}

// signed has the people of a rehearsal told what it has come to: somebody has signed for it.
func (c *criers) signed(what *rehearsals.Rehearsal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.all {
		if s.calendar.File != what.File {
			continue
		}
		if !slices.Contains(s.signed, what.Name) {
			s.signed = append(s.signed, what.Name)
		}
		select {
		case s.poke <- struct{}{}:
		default:
		}
	}
}

// tellSigned posts what rehearsals have come to for which somebody has signed. Those of which it cannot keep that, for everybody who is to hear it, are tried again the next time.
func (c *criers) tellSigned(s *servedCrier, cal *scenarios.Calendar, tells *crier.Crier) {
	if tells == nil && len(cal.Notify) > 0 { // nothing can be kept
		return
	}
	if s.unseen == nil {
		s.unseen = map[string]string{}
	}
	c.mu.Lock()
	names := s.signed
	s.signed = nil
	c.mu.Unlock()
	for _, what := range cal.Rehearsals {
		if !slices.Contains(names, what.Name) || len(cal.RehearsalChannels(what.Name)) == 0 || c.tellSign(s, what, tells) {
			continue
		}
		c.mu.Lock()
		if !slices.Contains(s.signed, what.Name) { // or somebody has signed again by now
			s.signed = append(s.signed, what.Name)
		}
		c.mu.Unlock()
	}
}

// tellSign posts what a rehearsal has come to, and reports whether that is kept.
func (c *criers) tellSign(s *servedCrier, what *rehearsals.Rehearsal, tells *crier.Crier) bool {
	seen, err := c.app.seen(c.runs, what, time.Now())
	if err != nil {
		if s.unseen[what.Name] != err.Error() { // once, and not every minute
			s.unseen[what.Name] = err.Error()
			c.app.say("nobody is told what rehearsal %s has come to until this is mended: %v", what.Name, err)
		}
		return false
	}
	delete(s.unseen, what.Name)
	return tells.Rehearsed(scenarios.RehearsalScope(what.Name), func(to announce.Audience) announce.Judgement { return judgement(what, seen.card, to) })
}

// Close ends it all. What is being sent is broken off soon, and left to whoever comes next.
func (c *criers) Close() {
	c.mu.Lock()
	for file, s := range c.all {
		s.stop()
		delete(c.all, file)
	}
	c.mu.Unlock()
	c.running.Wait()
}

// tell tells the people of one calendar until ctx ends.
func (c *criers) tell(ctx context.Context, s *servedCrier) {
	sending, broken := context.WithCancel(context.Background())
	defer broken()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(servedGrace, broken) })()
	var stale time.Time
	trouble := ""
	for ctx.Err() == nil {
		next, cal := time.Time{}, c.current(s)
		tells, err := c.due(s, cal)
		switch {
		case err != nil && err.Error() != trouble: // once, and not every minute
			trouble = err.Error()
			c.app.say("people are not told of the game days of %s: %s", cal.Name, trouble)
		case err == nil:
			trouble = ""
			if time.Since(stale) >= staleEvery {
				c.app.tellStale(tells, cal, c.runs)
				stale = time.Now()
			}
		}
		c.tellSigned(s, cal, tells)
		next = tells.Flush(sending) // what is kept is told, whatever cannot be read
		wait := servedEvery
		if !next.IsZero() {
			wait = min(wait, max(servedSoon, time.Until(next)))
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.poke:
		case <-t.C:
		}
		t.Stop()
	}
	c.tellSigned(s, c.current(s), s.tells) // it is kept, for whoever comes next
}

// due posts what is to be told of a calendar now, and returns who tells it; nil when it has nobody to tell. With an error, who tells what was posted before comes back
// all the same, if there is somebody.
func (c *criers) due(s *servedCrier, cal *scenarios.Calendar) (*crier.Crier, error) {
	if len(cal.Notify) == 0 {
		return nil, nil
	}
	dir := filepath.Join(c.state, cal.Name)
	if _, err := os.Stat(announcementsDir(dir)); s.tells != nil && err != nil { // a folder made anew would have everything told again
		return s.tells, fmt.Errorf("what they were told is lost; put it back, or start the server again: %w", err)
	}
	folder, err := claims.Open(dir)
	if err != nil {
		return s.tells, err
	}
	box, err := told.Open(announcementsDir(dir))
	if err != nil {
		return s.tells, err
	}
	if s.tells == nil {
		s.tells, s.reader = c.app.crierOf(box, cal.Notify, c.audit), folder.Reader()
	}
	s.tells.Channels = cal.Notify
	var seed schedules.Seed
	if seed, err = seedOf(dir); err != nil {
		return s.tells, err
	}
	return s.tells, c.app.tellDue(s.tells, cal, s.reader, seed)
}
