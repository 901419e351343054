package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gameday/audit"
	"gameday/faults"
	"gameday/schedules"
)

// besideLimit bounds how long one waits for those who begin something of other calendars: they look what goes on, and claim.
const besideLimit = time.Minute

// unknownBeside is why an occasion is skipped when nobody can tell what other calendars have in progress. The rest is for whoever looks after
// it: it may name what is blind.
const unknownBeside = "nobody can tell what other calendars of the state folder have in progress"

// beside lets nobody else begin anything of the calendars in the same state folder until unlock is called, and returns why a schedule must not
// begin beside what they have in progress; empty when it may.
func (r *scheduling) beside(ctx context.Context) (why string, unlock func(), err error) {
	limited, cancel := context.WithTimeout(ctx, besideLimit)
	defer cancel()
	if unlock, err = r.folder.LockBeside(limited); err != nil {
		return "", nil, err
	}
	holds := r.schedule.Holds()
	if len(holds) == 0 {
		return "", unlock, nil
	}
	here := audit.Me().Host
	elsewhere := slices.DeleteFunc(slices.Clone(holds), func(h string) bool { return h == schedules.ThisMachine })
	going, err := r.folder.Beside()
	for _, g := range going {
		names := holds
		if g.Host != "" && g.Host != here { // its own machine is another one
			names = elsewhere
		}
		if h, ok := g.Holding(names); ok {
			return fmt.Sprintf("schedule %q of %s, %s,"+schedules.GoesOnAndHolds+"%s", g.Schedule, g.Calendar, g.Occasion, h), unlock, nil
		}
	}
	if err != nil {
		r.say("%v; until it is mended or moved out of the state folder, what may be in each other's way is skipped", err)
		return unknownBeside, unlock, nil
	}
	return "", unlock, nil
}

// meanwhile returns what has come to stand against beginning a schedule since it was decided that it is due: asking sources, and waiting for
// others, takes minutes. began is when that was; empty when nothing does.
func (r *scheduling) meanwhile(began time.Time) (why string, err error) {
	stops, err := halts()
	if err != nil {
		return "", err
	}
	if h := faults.Halted(stops...); h != nil {
		return h.Error(), nil
	}
	held, err := others()
	if err != nil {
		return "", err
	}
	for _, h := range held {
		if why := h.InTheWay(r.schedule); why != "" {
			return why, nil
		}
	}
	// By the clock alone: what else counts stands still while the machine sleeps.
	if took := time.Now().Round(0).Sub(began.Round(0)); took > askedLimit {
		if why := r.schedule.Against(time.Now(), r.schedule.Length()); why != "" {
			return fmt.Sprintf("it took %s to learn whether it may begin: %s", took.Round(time.Second), why), nil
		}
	}
	return "", nil
}
