package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"gameday/announce"
	"gameday/announce/crier"
	"gameday/announce/deliver"
	"gameday/announce/told"
	"gameday/audit"
	"gameday/conductor"
	"gameday/report"
	"gameday/scenarios"
	"gameday/schedules/claims"
)

// tellPatience is how long one message is tried, with the waits that a busy server asks for. Only tests set another one.
var tellPatience = 45 * time.Second

// Bounds of telling people.
const (
	tellBriefly = 20 * time.Second // at the end of a call that ran nothing
	tellLast    = 2 * time.Minute  // at the end of one that did
)

// announcements is the folder of what is to be told and what was, in a calendar's state.
const announcements = "announcements"

// crierFor returns who tells a calendar's people, with the calendar's state in a folder; nil tells nobody. What goes wrong with it is said, and keeps
// nobody from running a game day.
func (a *app) crierFor(channels []*announce.Channel, dir, auditFile string) *crier.Crier {
	if len(channels) == 0 {
		return nil
	}
	box, err := told.Open(announcementsDir(dir))
	if err != nil {
		a.say("nobody is told of anything: %v", err)
		return nil
	}
	return a.crierOf(box, channels, auditFile)
}

func announcementsDir(state string) string { return filepath.Join(state, announcements) }

// crierOf returns who tells channels what is kept in a folder.
func (a *app) crierOf(box *told.Folder, channels []*announce.Channel, auditFile string) *crier.Crier {
	me := audit.Me()
	box.Fate = fateOf
	return crier.New(crier.Config{
		Box: box, Channels: channels, By: me.String(), Host: me.Host,
		Sender: &deliver.Sender{Getenv: os.Getenv, Patience: tellPatience, Version: versionText()},
		Say:    func(text string) { a.say("%s", text) },
		Result: resultOfWatched,
		Done:   func(r told.Report) { a.auditTold(auditFile, r) },
	})
}

// watched names a run on this machine by its record's folder.
func watched(dir string) string { return audit.Me().Host + ":" + dir }

// fateOf says what became of a run on this machine. It goes on as long as its record is locked, whatever is in that and whether or not it answers. There was a record
// when it was first watched: one that is gone, or cannot be read, has nobody any more who tells how it ended.
func fateOf(watch string) told.Fate {
	dir, here := strings.CutPrefix(watch, watched(""))
	if !here {
		return told.FateUnknown
	}
	writing, err := conductor.Writing(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return told.FateDied
	case writing, err != nil && goesOn(dir):
		return told.FateGoesOn
	case err != nil:
		return told.FateUnknown
	}
	if rec, err := report.Read(dir); err == nil && report.NewTimeline(rec).Ended != nil {
		return told.FateEnded
	}
	return told.FateDied
}

// resultOfWatched returns what announcements tell of a run on this machine that has ended.
func resultOfWatched(watch string) announce.Result {
	dir := strings.TrimPrefix(watch, watched(""))
	return resultOf(claims.Run{Scenario: filepath.Base(dir), Record: dir})
}

// auditTold keeps in the audit log what became of a message.
func (a *app) auditTold(file string, r told.Report) {
	l := audit.Line{What: audit.Announced, Why: fmt.Sprintf("%s to %s: %s", r.Draft.Message.Event, r.Draft.Channel, r.Line.Why)}
	if r.Line.What != told.Delivered {
		l.What = audit.NotAnnounced
		l.Why += " (" + r.Line.What + ")"
	}
	if file == "" {
		a.auditOne(l)
		return
	}
	log, err := audit.Open(file)
	if err == nil {
		err = errors.Join(log.Write(l), log.Close())
	}
	if err != nil {
		a.say("%v", err)
	}
}

// untilSignal is a context that a signal ends. What is told last is broken off by one, and the exit code stays what it is.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

// resultOf returns what announcements tell of a run that is over, from its record and its exit code.
func resultOf(x claims.Run) announce.Result {
	host := audit.Me().Host
	record := x.Record
	if abs, err := filepath.Abs(record); err == nil {
		record = abs
	}
	out := announce.Result{Scenario: x.Scenario, Record: record, Host: host, Left: x.Code == exitResidue}
	card, err := cardOf(x.Record)
	switch {
	case err == nil:
		out = announce.ResultOf(card, record, host)
		out.Left = out.Left || x.Code == exitResidue
	case x.Code == exitUsage && !recorded(x.Record):
		out.Why, out.Record = "it was refused before it touched anything; the output of gameday says why", ""
	case x.Code == exitResidue:
		out.Why = "it was killed, or its record cannot be read"
	default:
		out.Why = err.Error()
	}
	return out
}

// cardOf judges a record as `gameday report` does. Of a search there is no scorecard.
func cardOf(dir string) (*report.Scorecard, error) {
	if !recorded(dir) {
		return nil, fmt.Errorf("there is no record in %s", dir)
	}
	debug.FreeOSMemory()
	defer debug.SetGCPercent(debug.SetGCPercent(scoringGC))
	rec, err := report.Read(dir)
	if err != nil {
		return nil, err
	}
	if rec.Plan.Search != nil {
		return nil, errors.New("it was a search for the capacity, which has no score")
	}
	return report.Score(rec), nil
}

// notifyFlag is `gameday run --notify`.
type notifyFlag struct {
	file  string // a calendar, whose own channels are told
	crier *crier.Crier
}

// loadNotify reads whom a run by hand tells.
func (a *app) loadNotify(f *runFlags) error {
	if f.notify.file == "" {
		return nil
	}
	if f.search != nil {
		return usage("--notify tells how a game day ended, and a search for the capacity has no verdict; leave it out")
	}
	cal, file := scenarios.LoadCalendar(f.notify.file, calendarOptions())
	if err := a.complain([]*scenarios.File{file}, false); err != nil {
		return err
	}
	channels := cal.Channels("")
	if len(channels) == 0 {
		return usage("%s has no notify block of its own, so that nobody would be told; those of its schedules are for their game days", f.notify.file)
	}
	dir, err := stateDir("", cal.Name)
	if err != nil {
		return err
	}
	f.notify.crier = a.crierFor(channels, dir, f.audit)
	return nil
}

// tellRun tells people of a run by hand whose record is in a folder: that it begins, once its record does, and how it ended. It is called by the outer part of a
// run, which has a network; the function that it returns is called when the run is over, with the error that it ended with.
func (a *app) tellRun(f *runFlags, s *scenarios.Scenario, dir string) (over func(error)) {
	c := f.notify.crier
	if c == nil {
		return func(error) {}
	}
	day := &announce.Day{Scenarios: []string{s.Name}, Blind: s.Blind, Run: watched(dir), Zone: time.Local}
	c.Start()
	began := time.Now()
	stop, seen := make(chan struct{}), make(chan bool)
	go func() {
		for {
			if recorded(dir) { // a run that is refused has no record
				c.RunBegun(day, began)
				seen <- true
				return
			}
			select {
			case <-stop:
				seen <- recorded(dir)
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func(err error) {
		close(stop)
		if begun := <-seen; begun {
			x := claims.Run{Scenario: s.Name, Record: dir}
			if err != nil {
				x.Code = asCode(err).code
			}
			c.RunEnded(day, began, announce.End{At: time.Now(), Results: []announce.Result{resultOf(x)}})
		}
		ctx, cancel := untilSignal()
		defer cancel()
		c.Close(ctx, tellLast)
	}
}

// lastTold waits a little for what is being told.
func lastTold(c *crier.Crier, limit time.Duration) {
	if c == nil {
		return
	}
	ctx, cancel := untilSignal()
	defer cancel()
	c.Close(ctx, limit)
}
