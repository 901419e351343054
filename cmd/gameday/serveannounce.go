package main

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"gameday/announce/crier"
	"gameday/announce/told"
	"gameday/scenarios"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// How often a server looks what is to be told.
const (
	servedEvery = time.Minute
	staleEvery  = time.Hour // goes through all records
	servedSoon  = time.Second
	servedGrace = 5 * time.Second // for an answer that is awaited at the end: a message that was taken is not to be sent again
)

// criers tell the people of a server's calendars, in the background, what is ahead, what did not come to its end, what has not passed for too long, and what could not
// be told before. That something begins, is skipped or ends, the processes tell that the server starts. Its methods are safe for concurrent use, and wait for
// nothing but Close.
type criers struct {
	app                *app
	state, runs, audit string // folders, and the file of the audit log

	mu      sync.Mutex
	all     map[string]*servedCrier // by the calendar's name
	running sync.WaitGroup          // also those of calendars as they were before
}

// servedCrier tells the people of one calendar, as it was read at some time.
type servedCrier struct {
	calendar *scenarios.Calendar
	poke     chan struct{}
	stop     context.CancelFunc
}

// newCriers returns criers that tell nobody yet. state is the folder below which calendars have theirs.
func (a *app) newCriers(state, runs, audit string) *criers {
	return &criers{app: a, state: state, runs: runs, audit: audit, all: map[string]*servedCrier{}}
}

// use has the people of a calendar told from now on. One of the same name that was used before is not any more.
func (c *criers) use(cal *scenarios.Calendar) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.all[cal.Name]; old != nil {
		if old.calendar == cal {
			return
		}
		old.stop()
		delete(c.all, cal.Name)
	}
	if len(cal.Notify) == 0 {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &servedCrier{calendar: cal, poke: make(chan struct{}, 1), stop: stop}
	c.all[cal.Name] = s
	c.running.Go(func() { c.tell(ctx, s) })
}

// look has somebody look now: something has become of an occasion of a calendar.
func (c *criers) look(calendar string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.all[calendar]; s != nil {
		select {
		case s.poke <- struct{}{}:
		default:
		}
	}
}

// Close ends it all. What is being sent is broken off soon, and left to whoever comes next.
func (c *criers) Close() {
	c.mu.Lock()
	for name, s := range c.all {
		s.stop()
		delete(c.all, name)
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
		next := time.Time{}
		tells, err := c.due(s.calendar)
		if err != nil {
			if text := err.Error(); text != trouble { // once, and not every minute
				c.app.say("people are not told of the game days of %s: %s", s.calendar.Name, text)
				trouble = text
			}
		} else {
			trouble = ""
			if time.Since(stale) >= staleEvery {
				c.app.tellStale(tells, s.calendar, c.runs)
				stale = time.Now()
			}
			next = tells.Flush(sending)
		}
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
}

// due posts what is to be told of a calendar now, and returns who tells it.
func (c *criers) due(cal *scenarios.Calendar) (*crier.Crier, error) {
	dir := filepath.Join(c.state, cal.Name)
	folder, err := claims.Open(dir)
	if err != nil {
		return nil, err
	}
	var seed schedules.Seed
	if seed, err = seedOf(dir); err != nil {
		return nil, err
	}
	box, err := told.Open(announcementsDir(dir))
	if err != nil {
		return nil, err
	}
	tells := c.app.crierOf(box, cal.Notify, c.audit)
	return tells, c.app.tellDue(tells, cal, folder, seed)
}
