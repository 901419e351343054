package serve

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"gameday/rehearsals/kept"
	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve/store"
	"gameday/serve/web"
)

// deriveAll has the store derive what is new: when something was begun or has ended, and every minute, for others write records too.
func (e *Engine) deriveAll(ctx context.Context) {
	said := ""
	for {
		timer := time.NewTimer(askEvery)
		select {
		case <-ctx.Done():
		case <-e.derive: // at the first look as well: before it nobody knows which records are being written
		case <-timer.C:
		}
		timer.Stop()
		err := e.Derive(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			said = ""
		case err.Error() != said:
			said = err.Error()
			e.Say("what the pages show may be old: " + said)
		}
	}
}

// Derive has the store derive what is new now.
func (e *Engine) Derive(ctx context.Context) error {
	if e.Store == nil {
		return errNoStore
	}
	select {
	case e.syncing <- struct{}{}:
		defer func() { <-e.syncing }()
	case <-ctx.Done(): // another one may take minutes
		return fmt.Errorf("records are being read: %w", ctx.Err())
	}
	e.mu.Lock()
	now := e.now
	left := maps.Clone(e.leaving)
	e.mu.Unlock()
	maps.DeleteFunc(left, func(_ string, g goingRun) bool { return kept.Busy(g.dir) }) // somebody is at it still, also where it has no record yet
	from := store.Source{Runs: e.Config.Runs, Going: map[string]bool{}, Occasions: e.elsewhere(now.calendars)}
	from.LeftOut = func(folder string) { delete(left, folder) } // somebody came to it since
	e.keepElsewhere(from.Occasions)
	for _, g := range now.going {
		from.Going[g.dir] = true
	}
	for _, c := range now.calendars {
		if c.read {
			from.Occasions[c.Name] = c.kept
		}
	}
	err := e.sync(ctx, from)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		e.unsynced = ""
	case ctx.Err() == nil: // else nobody wanted to know any more, and what stands stays
		e.unsynced = err.Error()
	}
	if err != nil {
		return err
	}
	for folder := range left { // those that came back since are not in it
		delete(e.leaving, folder)
	}
	return nil
}

// derivingLong is for how long the store may derive before it is said: it may read thousands of records, or hang.
const derivingLong = time.Minute

// sync has the store derive what is new, and says when that takes long.
func (e *Engine) sync(ctx context.Context, from store.Source) error {
	begin := time.Now()
	set := func(t time.Time) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.deriving = t
	}
	set(begin)
	defer set(time.Time{})
	long := time.AfterFunc(derivingLong, func() {
		e.Say(fmt.Sprintf("records are being read since %s, and the pages do not show all of them before the end", begin.UTC().Format(time.RFC3339)))
	})
	defer long.Stop()
	return e.Store.Sync(ctx, from)
}

// derivingStuck is for how long nothing may come of deriving before it is taken to hang: a batch of long records takes a while.
const derivingStuck = 5 * time.Minute

// derivingTroubles say that pages may show a part of what there is, or what was.
func (e *Engine) derivingTroubles() []web.Trouble {
	if e.Store == nil {
		return nil
	}
	e.mu.Lock()
	since := e.deriving
	e.mu.Unlock()
	detail := ""
	if !since.IsZero() {
		detail = "They are being read since " + since.UTC().Format(time.RFC3339) + "."
	}
	switch {
	case !e.Store.Whole():
		goes := since.IsZero() || time.Since(latest(since, e.Store.Wrote())) <= derivingStuck
		return []web.Trouble{{Text: "The records are still being read, so these pages do not show all of them.", Detail: detail, Passing: goes}}
	case !since.IsZero() && time.Since(since) > derivingLong:
		return []web.Trouble{{Text: "Reading what is new takes long, so what these pages show may be old.", Detail: detail}}
	}
	return nil
}

// elsewhere reads what was kept of calendars that this server does not serve now. Those that cannot be read are left as they are.
func (e *Engine) elsewhere(served []calendarNow) map[string][]claims.Kept {
	out := map[string][]claims.Kept{}
	entries, err := os.ReadDir(e.State)
	if err != nil {
		return out
	}
	for _, d := range entries {
		name := d.Name()
		if !d.IsDir() || !schedules.CalendarName(name) || isServed(served, name) {
			continue
		}
		if e.others[name] == nil {
			f, err := claims.Open(filepath.Join(e.State, name))
			if err != nil {
				continue
			}
			e.others[name] = f.Reader()
		}
		if all, _, err := e.others[name].Read(); err == nil {
			out[name] = all
		}
	}
	return out
}

// keepElsewhere keeps for pages what is in progress of calendars that this server does not serve: that is not in the store.
func (e *Engine) keepElsewhere(all map[string][]claims.Kept) {
	going := map[occasionKey]claims.Kept{}
	for calendar, list := range all {
		for _, k := range list {
			if k.Running {
				going[occasionKey{calendar, k.Schedule, k.Occasion}] = k
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.besides = going
}

func isServed(served []calendarNow, name string) bool {
	for _, c := range served {
		if c.Name == name {
			return true
		}
	}
	return false
}
