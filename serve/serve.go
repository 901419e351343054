// Package serve is the engine of a gameday server: it looks when schedules come due, lets what is due be begun by a process of its own,
// keeps the history of it all for pages, and opens a room for each run that goes on.
//
// It decides nothing that it could lose. Whoever makes an occasion's claim first has it (schedules/claims), and that is the process which
// then runs its scenarios: the engine only sees that one is due, by the same rules (schedules.Decide), and starts that process in a session
// of its own. So the engine may be killed at any moment. What was begun goes on without it and is found again by the lock on its claim, and
// what was not begun is due still, or missed and said to be.
package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"gameday/audit"
	"gameday/rehearsals"
	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve/store"
	"gameday/serve/web"
)

// Calendar is what a calendar file says.
type Calendar struct {
	Name       string
	File       string // absolute path
	Schedules  []*schedules.Schedule
	Rehearsals []*rehearsals.Rehearsal
	// Own is for whoever loaded it, who gets it back in an Event.
	Own any
}

// Schedule returns the schedule of that name, or nil.
func (c *Calendar) Schedule(name string) *schedules.Schedule {
	for _, s := range c.Schedules {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Running is a run in progress on this machine.
type Running struct {
	Run, Scenario, By string
	Dir               string // its record's folder
	At                time.Time
	Holds             []string // as schedules.Item.Holds
}

// Call is what a process is to do: decide about a schedule, and run the occasion that is due, if one is.
type Call struct {
	File     string // of the calendar
	Text     string // a file with the text that it had when it was read; empty: the file's own
	Schedule string
	State    string // the folder below which calendars have theirs
	Runs     string
	Log      string // what the process prints goes to this file; empty: nowhere
	// Asked is when it was seen that something is due, in whole seconds. The process decides for this time, if it is not long ago, for it
	// takes time to start, and a window may have but one second in which its scenarios can begin.
	Asked time.Time
}

// Opened is the room of a run.
type Opened interface {
	http.Handler
	// Follow follows the run's record until ctx ends.
	Follow(ctx context.Context)
	// Look tells whether somebody was paged, and whether the run is over.
	Look() (paged, over bool)
}

// Config is what an engine is made of.
type Config struct {
	Files []string // the calendars
	// Runs and State are folders, by absolute paths. Every file of the engine itself is below OwnDir(State).
	Runs, State string
	// Load decodes a calendar of a text that was read from a file.
	Load func(file string, text []byte) (*Calendar, error)
	// Adopted is told of each calendar that the engine takes from now on, again each time that it is read: one of the same File takes the place of
	// what that said before, under whatever name. What has a mistake, or the name of another one, it is not told of. It must not wait for anything.
	// Nil is told nothing.
	Adopted func(*Calendar)
	// Signed is told of the rehearsal for which somebody has signed, or refused to. It must not wait for anything. Nil is told nothing.
	Signed func(*rehearsals.Rehearsal)
	// Seed returns the seed of a calendar with its state in a folder.
	Seed func(dir string) (schedules.Seed, error)
	// Running lists the runs in progress on this machine.
	Running func() ([]Running, error)
	// Begin starts a process for a call, which outlives this one, and returns its id. wait waits for its end and returns its exit code.
	Begin func(Call) (pid int, wait func() int, err error)
	// Store is where pages look things up; nil keeps nothing.
	Store *store.Store
	// OpenRoom opens the room of a run: run is its record's folder below Runs. Nil opens none.
	OpenRoom func(id, run, dir string) Opened
	// Stop and Lift stop every game day and let them go on, as `gameday stop --all` does. Halt tells whether they are stopped.
	Stop, Lift func(ctx context.Context, by, why string) (string, error)
	Halt       func() (*web.Halt, error)
	// Audit takes a line for the audit log; nil takes none.
	Audit func(audit.Line) error
	// Tell is told what happens with occasions. It must not wait for anything. Nil is told nothing.
	Tell func(Event)
	// Say tells the operator something in a sentence; nil tells nobody.
	Say func(text string)
}

// Bounds of the engine.
const (
	askEvery      = time.Minute            // a clock may be set, and a machine may sleep
	filesEvery    = 2 * time.Second        // calendars' files may be edited, and runs begin and end
	unreadEvery   = 2 * time.Second        // while something cannot be read: that may be over soon, and a window may be short
	soonest       = 50 * time.Millisecond  // between two looks
	decidingEvery = 200 * time.Millisecond // while a process decides
	decidingSlow  = 2 * time.Second        // when it takes long: it asks sources
	decidingLong  = 5 * time.Second
	tryAgain      = time.Minute // after a process that could not decide
	lockPatience  = time.Second
	ownPatience   = 5 * time.Second // for the lock of one that was killed this moment
)

// Engine is a server's engine. Its methods for pages are safe for concurrent use; Run is called once.
type Engine struct {
	Config
	lock      *os.File
	calendars []*calendar
	checked   time.Time // when the calendars were last read
	clock     machineClock
	rooms     rooms
	news      chan struct{} // there is a reason to look now
	derive    chan struct{} // there is something new for the store
	syncing   chan struct{} // has whoever derives: one at a time

	others map[string]*claims.Reader // of calendars that are not served; for whoever derives

	mu       sync.Mutex // of what pages ask for
	now      snapshot
	leaving  map[string]goingRun         // runs that are over, and that the store has not derived yet, by folder
	besides  map[occasionKey]claims.Kept // what is in progress of calendars that are not served, as of when it was last derived; replaced as a whole
	unsynced string                      // why the store could not derive what is new
	deriving time.Time                   // since when it derives; zero when it does not
}

// snapshot is what the last look saw.
type snapshot struct {
	at        time.Time
	calendars []calendarNow
	going     []goingRun
	troubles  []web.Trouble // but for the store's
}

// calendarNow is a calendar as the last look saw it.
type calendarNow struct {
	*Calendar
	seed  schedules.Seed
	state schedules.State
	kept  []claims.Kept
	read  bool // its state could be read
}

// goingRun is a run in progress whose record is below Runs.
type goingRun struct {
	Running
	folder  string // below Runs, with slashes
	dir     string // as Runs and the folder make it
	planned bool   // its plan could be read, so that blind is known
	blind   bool
	label   string // the rehearsal that it is for
	step    rehearsals.Run
}

// ErrTaken says that another server has the state folder.
var ErrTaken = errors.New("another gameday serve uses this state folder")

// OwnDir returns the folder of the engine's own files in a state folder. No calendar is called so.
func OwnDir(state string) string { return filepath.Join(state, ".serve") }

// New returns an engine that has the state folder for itself, until Close or the death of this process. It reads the calendars: one that
// has mistakes is an error, unless it was read without any before; then it goes on as it was, and that is said.
func New(c Config) (*Engine, error) {
	if c.Say == nil {
		c.Say = func(string) {}
	}
	if c.Tell == nil {
		c.Tell = func(Event) {}
	}
	if c.Adopted == nil {
		c.Adopted = func(*Calendar) {}
	}
	if c.Signed == nil {
		c.Signed = func(*rehearsals.Rehearsal) {}
	}
	if c.Audit == nil {
		c.Audit = func(audit.Line) error { return nil }
	}
	e := &Engine{Config: c, news: make(chan struct{}, 1), derive: make(chan struct{}, 1), syncing: make(chan struct{}, 1), others: map[string]*claims.Reader{}, leaving: map[string]goingRun{}}
	e.clock.began = time.Now()
	e.rooms.open = map[string]*openRoom{}
	if err := e.take(); err != nil {
		return nil, err
	}
	if err := e.begin(time.Now()); err != nil {
		return nil, errors.Join(err, e.lock.Close())
	}
	return e, nil
}

// take takes the state folder for this process. Of one that was killed the lock is free, or soon: a process that it was starting has it
// for a moment.
func (e *Engine) take() error {
	if err := os.MkdirAll(OwnDir(e.State), 0o700); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	l, err := os.OpenFile(filepath.Join(OwnDir(e.State), "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("locking the state folder: %w", err)
	}
	for until := time.Now().Add(ownPatience); ; time.Sleep(soonest) {
		err = syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			e.lock = l
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return errors.Join(fmt.Errorf("locking the state folder %s: %w", e.State, err), l.Close())
		}
		if time.Now().After(until) {
			return errors.Join(fmt.Errorf("%w, %s: end it, or name another folder by --state", ErrTaken, e.State), l.Close())
		}
	}
}

// Close lets go of the state folder.
func (e *Engine) Close() error { return e.lock.Close() }

// Run looks when schedules come due, and after everything else, until ctx ends. What it began goes on.
func (e *Engine) Run(ctx context.Context) {
	var beside sync.WaitGroup
	defer beside.Wait()
	if e.Store != nil {
		beside.Go(func() { e.deriveAll(ctx) })
	}
	defer e.rooms.close()
	files := time.NewTicker(filesEvery)
	defer files.Stop()
	for ctx.Err() == nil {
		timer := time.NewTimer(e.look(ctx, time.Now()))
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				waiting = false
			case <-e.news:
				waiting = false
			case <-timer.C:
				waiting = false
			case <-files.C:
				waiting = !slices.ContainsFunc(e.calendars, (*calendar).edited) && !slices.ContainsFunc(e.calendars, (*calendar).over) && !e.moved()
			}
		}
		timer.Stop()
	}
}

// moved reports whether other runs are in progress than at the last look, or one of them has its plan only now: they have rooms, and pages
// tell of them, whoever began them.
func (e *Engine) moved() bool {
	running, err := e.Running()
	if err != nil {
		return false // the next look says so
	}
	before := e.seen().going
	now := e.going(running)
	return !slices.EqualFunc(now, before, func(a, b goingRun) bool { return a.folder == b.folder && a.planned == b.planned })
}

// wake has the engine look now.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will
	}
}
