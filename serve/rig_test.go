package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve/web"
)

// rig is a server's surroundings in a test: folders, calendars by the texts of their files, and processes that are goroutines and live on
// when a server ends.
type rig struct {
	t         testing.TB
	dir       string
	calendars map[string]func(file string) *Calendar // by text
	took      func(s *schedules.Schedule, id string) time.Duration
	starts    time.Duration   // what a process takes to start
	delays    []time.Duration // what the first ones take besides

	mu       sync.Mutex
	said     []string
	told     []string
	calls    []Call
	code     int // of processes that decide nothing; 0 has them decide
	children sync.WaitGroup
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, dir: t.TempDir(), calendars: map[string]func(string) *Calendar{}, starts: 50 * time.Millisecond}
	r.took = func(s *schedules.Schedule, _ string) time.Duration { return s.Length() }
	return r
}

// file writes a calendar's file.
func (r *rig) file(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// calendar says what a text means.
func (r *rig) calendar(text string, all ...*schedules.Schedule) {
	r.calendars[text] = func(file string) *Calendar { return &Calendar{Name: "days", File: file, Schedules: all} }
}

func (r *rig) load(file string, text []byte) (*Calendar, error) {
	if make, ok := r.calendars[string(text)]; ok {
		return make(file), nil
	}
	return nil, fmt.Errorf("%s:1: %q means nothing", filepath.Base(file), text)
}

func (r *rig) config(files ...string) Config {
	return Config{Files: files, Runs: filepath.Join(r.dir, "runs"), State: filepath.Join(r.dir, "state"), Load: r.load,
		Seed:    func(string) (schedules.Seed, error) { return schedules.Seed("a seed of the tests"), nil },
		Running: func() ([]Running, error) { return nil, nil },
		Halt:    func() (*web.Halt, error) { return nil, nil },
		Begin:   r.begin,
		Say: func(text string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.said = append(r.said, text)
		},
		Tell: func(v Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.told = append(r.told, fmt.Sprintf("%s %s %s", v.What, v.Kept.Schedule, v.Kept.Occasion))
		}}
}

// says returns what was said so far, and forgets it.
func (r *rig) says() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := strings.Join(r.said, "\n")
	r.said = nil
	return text
}

// called returns for what processes were started so far.
func (r *rig) called() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// begin is a process that does what `gameday schedule run --no-wait` does, but for the scenarios: it waits as long as they take.
func (r *rig) begin(c Call) (int, func() int, error) {
	r.mu.Lock()
	r.calls = append(r.calls, c)
	code, starts := r.code, r.starts
	if len(r.delays) > 0 {
		starts += r.delays[0]
		r.delays = r.delays[1:]
	}
	r.mu.Unlock()
	text, err := os.ReadFile(c.Text)
	if err != nil {
		return 0, nil, err
	}
	cal, err := r.load(c.File, text)
	if err != nil {
		return 0, nil, err
	}
	ended := make(chan int, 1)
	r.children.Go(func() {
		time.Sleep(starts)
		if code != 0 {
			_ = os.WriteFile(c.Log, []byte("gameday: it does not like it\n"), 0o600)
			ended <- code
			return
		}
		if err := r.run(cal.Schedule(c.Schedule), filepath.Join(c.State, cal.Name), c.Asked); err != nil {
			r.t.Error(err)
		}
		ended <- 0
	})
	return 4711, func() int { return <-ended }, nil
}

// run decides about a schedule and runs what is due.
func (r *rig) run(s *schedules.Schedule, dir string, asked time.Time) error {
	held, id, err := decideOnce(s, dir, asked)
	if held == nil || err != nil {
		return err
	}
	time.Sleep(r.took(s, id))
	return held.Close(claims.End{At: time.Now()})
}

// decideOnce settles what is to be settled of a schedule, and returns the occasion that is begun.
func decideOnce(s *schedules.Schedule, dir string, now time.Time) (held *claims.Held, id string, err error) {
	folder, err := claims.Open(dir)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	unlock, err := folder.Lock(ctx)
	if err != nil {
		return nil, "", err
	}
	defer unlock()
	state, err := folder.State()
	if err != nil {
		return nil, "", err
	}
	claim := func(o schedules.Occasion) claims.Claim {
		return claims.Claim{Schedule: s.Name, Occasion: o.ID, At: now.UTC().Round(0), Moment: o.Moment, Opens: o.Opens(), Closes: o.Closes(), Holds: s.Holds(), Blind: s.Blind()}
	}
	d := schedules.Decide([]*schedules.Schedule{s}, state, schedules.Seed("a seed of the tests"), now)
	for _, x := range d.Skip {
		c := claim(x.Occasion)
		c.Outcome, c.Why = schedules.Skipped, x.Why
		if _, err := folder.Claim(c); err != nil && !errors.Is(err, claims.ErrClaimed) {
			return nil, "", err
		}
	}
	for _, x := range d.Start {
		c := claim(x.Occasion)
		c.Outcome, c.MadeUp = schedules.Begun, x.MadeUp
		if held, err = folder.Claim(c); err != nil {
			return nil, "", err
		}
		id = x.Occasion.ID
	}
	return held, id, folder.Since(d.Through)
}

// serve runs a server until it is ended.
func (r *rig) serve(c Config) (e *Engine, end func()) {
	r.t.Helper()
	e, err := New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.Run(ctx)
	}()
	return e, sync.OnceFunc(func() {
		cancel()
		<-ended
		if err := e.Close(); err != nil {
			r.t.Error(err)
		}
	})
}

// kept returns what became of occasions.
func (r *rig) kept() []claims.Kept {
	r.t.Helper()
	f, err := claims.Open(filepath.Join(r.dir, "state", "days"))
	if err != nil {
		r.t.Fatal(err)
	}
	all, _, err := f.Reader().Read()
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func cron(t testing.TB, text string) *schedules.Cron {
	t.Helper()
	c, err := schedules.ParseCron(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func every(t testing.TB, text string) *schedules.Every {
	t.Helper()
	e, err := schedules.ParseEvery(text, schedules.DefaultAnchor)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// item is a scenario of a length.
func item(length time.Duration, holds ...string) []schedules.Item {
	return []schedules.Item{{File: "x.hcl", Scenario: "x", Length: length, Holds: holds}}
}

func clock(hour, minute int) time.Duration {
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
}
