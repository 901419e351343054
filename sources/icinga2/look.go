package icinga2

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gameday/clock"
)

// look is one look at the watched ones. It is a good one once the stream has told of all that was read.
type look struct {
	at    time.Time
	owed  []debt
	state Health // other than Reachable, it is a bad one
	why   string
}

// final is somebody who waits for a look from some time on to be settled.
type final struct {
	from time.Time
	done chan struct{}
}

// heard is what the stream told last of a host or service, by the server's clock.
type heard struct {
	changed, checked, acknowledged, notified time.Time
}

// debt is something that the stream has to tell of.
type debt struct {
	what string
	paid func() bool
}

// answer lets those go who wait for a look up to some time.
func (f *following) answer(upTo time.Time) {
	for len(f.finals) > 0 && !f.finals[0].from.After(upTo) {
		close(f.finals[0].done)
		f.finals = f.finals[1:]
	}
}

// hear notes of what an event tells.
func (h *heard) hear(e Event) {
	switch e.Type {
	case CheckResult:
		h.checked = later(h.checked, e.Checked)
	case StateChange:
		h.changed = later(h.changed, e.Checked)
	case AcknowledgementSet, AcknowledgementCleared:
		h.acknowledged = later(h.acknowledged, e.Stamp)
	case NotificationSent:
		h.notified = later(h.notified, e.Stamp)
	}
}

// look reads the watched ones, and notes of what the stream has to tell.
func (f *following) look(ctx context.Context) (err error) {
	l := look{at: time.Now(), state: Reachable}
	now, from, to := map[string]*Checkable{}, l.at, l.at
	if len(f.watched) > 0 {
		now, from, to, err = f.Client.again(ctx, f.watched)
	} else {
		_, err = f.Client.Permissions(ctx)
	}
	var last map[string]Notification
	if err == nil && f.People {
		last, err = f.Client.last(ctx, f.rules())
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		l.state, l.why = Unreachable, err.Error()
	} else {
		l.owed = f.debts(now, last)
		if why := f.overdue(now, l.at); why != "" {
			l.state, l.why = Broken, why
		}
		if len(l.owed) == 0 && len(f.looks) == 0 {
			f.handler.Look(now, clock.Between(from, to))
		}
	}
	f.looks = append(f.looks, l)
	return nil
}

// settle books the looks of which the stream has told all, in order. An error says that it is dead.
func (f *following) settle() error {
	for len(f.looks) > 0 {
		l := &f.looks[0]
		l.owed = slices.DeleteFunc(l.owed, func(d debt) bool { return d.paid() })
		switch {
		case len(l.owed) > 0 && time.Since(l.at) > f.patience:
			return errors.New("it did not tell of it when " + l.owed[0].what)
		case len(l.owed) > 0:
			return nil
		case l.state == Reachable:
			f.account.Good(l.at)
		default:
			f.account.Bad(l.at, l.why)
		}
		f.turn(l.state, l.why, l.at)
		f.answer(l.at)
		f.looks = f.looks[1:]
	}
	return nil
}

// debts returns of what the stream has not told, of all that was read.
func (f *following) debts(now map[string]*Checkable, last map[string]Notification) []debt {
	var out []debt
	add := func(name, what string, at time.Time, of *time.Time) {
		if at.After(*of) {
			out = append(out, debt{fmt.Sprintf("%s %s at %s", name, what, f.snap.Ours(at).Lo.Format(time.TimeOnly)), func() bool { return !at.After(*of) }})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		c, h := now[name], f.heard[name]
		add(name, "changed its state", later(c.Since, c.HardSince), &h.changed)
		add(name, "was checked", c.Checked, &h.checked)
		add(name, "was acknowledged, or was not any more", c.AcknowledgedAt, &h.acknowledged)
		for _, n := range f.snap.Notifications[name] {
			add(name, "was told of to somebody", last[n.Name].Last, &h.notified)
		}
	}
	return out
}

// overdue says which watched one should have been checked and was not; the empty string when all were.
func (f *following) overdue(now map[string]*Checkable, at time.Time) string {
	for _, name := range slices.Sorted(maps.Keys(now)) {
		c := now[name]
		late := at.Sub(f.snap.Ours(c.NextCheck).Hi)
		if c.Active && !c.NextCheck.IsZero() && late > c.CheckTimeout+c.Interval+grace {
			return fmt.Sprintf("the check of %s is overdue by %s: is the checker running?", name, late.Round(time.Second))
		}
	}
	return ""
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
