package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gameday/faults"
	"gameday/scenarios"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// Variables that say what flags do not.
const (
	stateVariable = "GAMEDAY_SCHEDULE_STATE"
	seedVariable  = "GAMEDAY_SCHEDULE_SEED"
)

// leastSeed is how many characters a seed in a variable has at least: nobody may guess it.
const leastSeed = 16

func (a *app) scheduleCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "schedule",
		Short: "When game days come: list them, run what is due, export to what starts them",
		Long: "A calendar is a file of schedules: which scenarios, how often, in which hours, at what moment, and when not. `next` lists what\n" +
			"is to come, `export` prints what your own timers need, and `run` is what they call.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage("say what to do: schedule check, schedule next, schedule run, or schedule export")
		},
	}
	c.AddCommand(a.scheduleCheckCmd(), a.scheduleNextCmd(), a.scheduleRunCmd(), a.scheduleExportCmd())
	return c
}

func (a *app) scheduleCheckCmd() *cobra.Command {
	var json bool
	c := &cobra.Command{
		Use:   "check FILE…",
		Short: "Check calendars with the scenarios and freezes that they name; says nothing when they are fine",
		Long: "Checks calendars with the scenarios and freezes that they name. Channels whose secrets are not at hand here are named on standard\n" +
			"error; that is no mistake of the file, and the exit code stays 0.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var files []*scenarios.File
			for _, path := range args {
				cal, f := scenarios.LoadCalendar(path, calendarOptions())
				files = append(files, f)
				if cal != nil {
					a.sayMissing(cal)
				}
			}
			return a.complain(files, json)
		},
	}
	c.Flags().BoolVar(&json, "json", false, "print the result as JSON on standard output")
	return c
}

func calendarOptions() scenarios.Options {
	return scenarios.Options{Catalogue: catalogue(), Getenv: os.Getenv}
}

// calendar loads a calendar. Mistakes are printed, and end the program.
func (a *app) calendar(path string) (*scenarios.Calendar, error) {
	return a.calendarBy(path, calendarOptions())
}

func (a *app) calendarBy(path string, o scenarios.Options) (*scenarios.Calendar, error) {
	c, f := scenarios.LoadCalendar(path, o)
	if err := a.complain([]*scenarios.File{f}, false); err != nil {
		return nil, err
	}
	return c, nil
}

// outdated says which freezes have nothing to come: an old list of holidays freezes nothing, and nobody would see it.
func (a *app) outdated(list []*schedules.Schedule, now time.Time) {
	told := map[string]bool{}
	for _, s := range list {
		for _, f := range s.Freezes {
			named, ok := f.(interface{ File() string })
			if !ok || told[named.File()] || len(f.Between(now, now.AddDate(1, 0, 0))) > 0 {
				continue
			}
			told[named.File()] = true
			a.say("%s has no event in the year from %s on, so that it freezes nothing: is it out of date?", named.File(), now.In(s.Zone).Format(time.DateOnly))
		}
	}
}

// scheduleOf loads a calendar and picks a schedule.
func (a *app) scheduleOf(path, name string) (*scenarios.Calendar, *schedules.Schedule, error) {
	return a.scheduleBy(path, name, calendarOptions())
}

func (a *app) scheduleBy(path, name string, o scenarios.Options) (*scenarios.Calendar, *schedules.Schedule, error) {
	c, err := a.calendarBy(path, o)
	if err != nil {
		return nil, nil, err
	}
	if s := c.Schedule(name); s != nil {
		return c, s, nil
	}
	var names []string
	for _, s := range c.Schedules {
		names = append(names, s.Name)
	}
	hint := ""
	if near := faults.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return nil, nil, usage("%s has no schedule %q; it has %s%s", path, name, strings.Join(names, ", "), hint)
}

// stateDir returns the folder in which a calendar's state is.
func stateDir(flag, calendar string) (string, error) {
	dir := flag
	if dir == "" {
		dir = os.Getenv(stateVariable)
	}
	if dir == "" {
		ledger, err := faults.DefaultLedgerDir()
		if err != nil {
			return "", usage("%w", err)
		}
		dir = filepath.Join(filepath.Dir(filepath.Clean(ledger)), "schedules")
	}
	return filepath.Join(dir, calendar), nil
}

// givenSeed returns the seed that a variable gives, or nil.
func givenSeed() (schedules.Seed, error) {
	text := os.Getenv(seedVariable)
	if text == "" {
		return nil, nil
	}
	if len(text) < leastSeed {
		return nil, usage("%s has fewer than %d characters, so that it could be guessed; make one with: openssl rand -hex 32", seedVariable, leastSeed)
	}
	if b, err := hex.DecodeString(text); err == nil {
		return b, nil
	}
	return schedules.Seed(text), nil
}

// knownSeed returns the seed if there is one, and nil if none was made yet. It makes nothing.
func knownSeed(dir string) (schedules.Seed, error) {
	seed, err := givenSeed()
	if seed != nil || err != nil {
		return seed, err
	}
	if _, err := os.Stat(filepath.Join(dir, "seed")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return seedOf(dir)
}

// knownState returns what was settled in a folder, if there is one. It makes nothing.
func knownState(dir string) (schedules.State, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return schedules.State{}, nil
	}
	f, err := claims.Open(dir)
	if err != nil {
		return schedules.State{}, usage("%w", err)
	}
	state, err := f.State()
	if err != nil {
		return state, usage("%w", err)
	}
	return state, nil
}

// seedOf returns the seed, which is made if there is none.
func seedOf(dir string) (schedules.Seed, error) {
	seed, err := givenSeed()
	if seed != nil || err != nil {
		return seed, err
	}
	f, err := claims.Open(dir)
	if err != nil {
		return nil, usage("%w", err)
	}
	if seed, err = f.Seed(); err != nil {
		return nil, usage("%w", err)
	}
	return seed, nil
}
