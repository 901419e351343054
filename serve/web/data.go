// Package web serves the pages of a gameday server: what is on, what comes, what was, what is stale, what may launch, and the button
// that stops it all. Rooms of runs are mounted below it.
//
// Whoever runs the server answers the pages' questions by Data, with all that it knows; what those who play may see of that is decided
// here and nowhere else, in seen.go.
package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gameday/rehearsals"
	"gameday/report/history"
	"gameday/schedules"
)

// Data is what the pages ask of whoever runs the server. All of its methods are safe for concurrent use and answer soon: from what is
// kept in memory or in a database, and not by reading records. What they return is shared, and neither side changes it afterwards.
//
// Answers are as facilitators may see them. An error is shown as "not known", with its text to facilitators alone.
type Data interface {
	// Runs returns every run that there is a record of, also those that go on, in any order; and the folders that tell nothing.
	Runs(ctx context.Context) (*Runs, error)
	// Occasions returns what all schedules have in [from, to), in any order: of the past what became of it, of the future as far as it is
	// known. One whose windows reach into the span belongs to it.
	Occasions(ctx context.Context, from, to time.Time) ([]Occasion, error)
	// Freezes returns those of all schedules that have an instant in [from, to), each once.
	Freezes(ctx context.Context, from, to time.Time) ([]schedules.Freeze, error)
	// Rehearsals returns those of the calendars, in the order in which they are written.
	Rehearsals(ctx context.Context) ([]Rehearsal, error)
	// Rooms returns the rooms that are open now: of runs that go on, and of those that were over a while ago.
	Rooms(ctx context.Context) ([]Room, error)
	// Halt returns whether game days are stopped; nil when they are not.
	Halt(ctx context.Context) (*Halt, error)
	// Troubles returns what is wrong with the server itself now, the worst first.
	Troubles() []Trouble
	// Scheduled returns the scenarios that the calendars' schedules run, in any order, and each as often as it is in one.
	Scheduled() []Scheduled

	// Dir returns the folder on disk of the record of a run, by Run.Folder.
	Dir(folder string) (string, error)
	// Stop stops every run and forbids new ones, as `gameday stop --all` does, and says in words what became of it. It writes the audit
	// log itself. The text is also good when there is an error: what was stopped all the same.
	Stop(ctx context.Context, by, why string) (string, error)
	// Lift lets game days go on.
	Lift(ctx context.Context, by, why string) (string, error)
	// SignOff keeps what somebody said about a rehearsal, on disk and in the audit log, if what there is now is still what they saw
	// (ErrChanged). When ctx ends before that is known, nothing is kept.
	SignOff(ctx context.Context, s rehearsals.SignOff) error
}

// Runs is every run of the server's folder of records.
type Runs struct {
	All     []Run
	Skipped []history.Skipped // folders that tell nothing: shown to facilitators alone, for their names tell what may be hidden
}

// Run is one run.
type Run struct {
	history.Entry
	// Blind says that the scenario is: also where that cannot be told.
	Blind bool
	// Over says that the record has the run's end. A run that was killed is never over, and stays hidden if it is blind.
	Over bool
	// Going says that it is in progress.
	Going bool
	// Room is the ID of its room, while there is one.
	Room string
}

// Fate is what became of an occasion, or will.
type Fate string

// The fates.
const (
	Planned Fate = "planned" // it will begin, as far as is known
	Skipped Fate = "skipped" // it will not begin, or did not, and why
	Missed  Fate = "missed"  // nobody was there to begin it
	Going   Fate = "going"   // it was begun and goes on
	Done    Fate = "done"    // it was begun and has ended
	Broken  Fate = "broken"  // it was begun, and nobody knows how it ended: whatever began it was killed
	Unknown Fate = "unknown" // nothing is known of what became of it
)

// Occasion is one time at which a schedule comes.
type Occasion struct {
	Schedule  string
	ID        string // its nominal time, as schedules.Occasion has it
	Scenarios []string
	// Blind says that one of the scenarios is, or that this cannot be told any more: then only facilitators may know more than the hours.
	Blind         bool
	Opens, Closes time.Time // of its windows
	Zone          *time.Location
	// Moment is when it begins or began; zero when that is not known.
	Moment time.Time
	Fate   Fate
	// Forecast says that nothing is settled: Fate is what will become of it as all is planned, what is hidden among it; and one that was missed may
	// be made up for yet.
	Forecast bool
	// Frozen says that a freeze or a change of the clock leaves it no time in which it could begin: that is known long before, and no secret.
	Frozen bool
	Why    string   // of one that was skipped or missed, or will be
	Maybe  []string // what might be in its way, where moments are not known
	Late   bool     // its moment has passed, and it may still begin
	// Runs are the folders of its runs' records, once there are any, and Exit the worst of their exit codes; nil when that is not known.
	Runs []string
	Exit *int
	// InTheWay are the folders of the runs of what was in the way of one that was skipped; empty while that goes on, and where it is not known.
	InTheWay []string
}

// Scheduled is a scenario that a schedule runs.
type Scheduled struct {
	Scenario string
	Blind    bool // as the schedule's occasions are
}

// Rehearsal is what must go well before something launches, and what records show of it. The page judges it.
type Rehearsal struct {
	Plan   *rehearsals.Rehearsal
	Shown  rehearsals.Shown     // Run.Record is a Run.Folder of Runs
	Signed []rehearsals.SignOff // of this rehearsal, in their order
	// All is what records show of every rehearsal, by name: beside which of them it is shown depends on what somebody may know.
	All map[string]rehearsals.Shown
	// Broken counts what cannot be read and may be of this rehearsal: labels of records, and lines of sign-offs if any are asked for.
	Broken int
}

// Room is a room that is open.
type Room struct {
	ID       string // in its address: a word of [a-z0-9], which tells nothing of the run
	Run      string // Run.Folder
	Scenario string
	Began    time.Time // zero while the record has no beginning
	Blind    bool
	Over     bool
	// Paged says that somebody was paged in it. Until then nobody who plays is told that there is a room: its being there would tell
	// the moment of a blind run.
	Paged   bool
	Handler http.Handler // with the paths of room/web, below /rooms/ID
}

// Halt is that game days are stopped.
type Halt struct {
	By, Why string
	At      time.Time
}

// Trouble is something that is wrong with the server.
type Trouble struct {
	Text   string // for everybody, and tells nothing of runs: "The database cannot be written, so what is shown may be old."
	Detail string // for facilitators
	// Blind says that it is of a blind schedule, and would tell its moment: it is for facilitators alone, and the server counts as well.
	Blind bool
	// Passing says that it passes by itself, as what is read at a start does: whatever watches the server is not to begin that anew.
	Passing bool
}

// ErrChanged says that what somebody wanted to sign for is not what there is now.
var ErrChanged = errors.New("what was seen has changed since")
