package announce

import (
	"fmt"
	"time"
)

// NotHeld says that a day does not take place: missed when nobody began it while it could begin, skipped otherwise. Those from whom
// it is hidden hear that when its hours have closed, without the reason, which may say more than the hours.
func (c *Channel) NotHeld(d *Day, why string, missed bool, at time.Time) (Draft, bool) {
	event, verb := Skipped, "is skipped"
	if missed {
		event, verb = Missed, "was missed"
	}
	if !c.wants(event) {
		return Draft{}, false
	}
	if d.hidden(c) {
		m := Message{Event: Skipped, Title: "A game day planned " + hoursText(d.Hours, d.Open, d.Zone) + " did not take place", Facts: d.facts(true)}
		out := c.draft(m, d.hiddenAbout()...)
		out.NotBefore, out.Expires = d.closes(), d.closes().Add(3*24*time.Hour)
		return out, true
	}
	m := Message{Event: event, Title: "Game day " + d.name() + " " + verb, Facts: d.facts(false), Link: c.Link}
	if why != "" {
		m.Lines, m.Facts.Why = []string{why}, why
	}
	if len(d.Hours) > 0 {
		m.Lines = append(m.Lines, "It was planned "+hoursText(d.Hours, d.Open, d.Zone)+".")
	}
	out := c.draft(m, d.about()...)
	out.Expires = at.Add(3 * 24 * time.Hour)
	return out, true
}

// Collided says that a day is skipped because something else held what it would hold. That may be a blind one, which has just begun or goes on. So
// only facilitators hear it at once and with the reason, whether or not the day itself is blind; others hear that it was skipped when its hours have closed, or, of one
// that was to be made up for after them, a day later.
func (c *Channel) Collided(d *Day, why string, at time.Time) (Draft, bool) {
	if c.To == Facilitators {
		return c.NotHeld(d, why, false, at)
	}
	out, wanted := c.NotHeld(d, "", false, at)
	if out.NotBefore = d.closes(); at.After(out.NotBefore) {
		out.NotBefore = at.Add(24 * time.Hour)
	}
	out.Expires = out.NotBefore.Add(3 * 24 * time.Hour)
	return out, wanted
}

// MissedMany says that several occasions of a schedule were missed, as was seen at one instant. The day's hours go from the begin of the first of them to the end of
// the last. Those from whom it is hidden hear that when they have closed.
func (c *Channel) MissedMany(d *Day, n int, at time.Time) (Draft, bool) {
	if !c.wants(Missed) {
		return Draft{}, false
	}
	planned := hoursText(d.Hours, false, d.Zone)
	if d.hidden(c) {
		out := c.draft(Message{Event: Skipped, Title: "Game days planned " + planned + " did not take place", Facts: d.facts(true)}, d.hiddenAbout()...)
		out.NotBefore, out.Expires = d.closes(), d.closes().Add(3*24*time.Hour)
		return out, true
	}
	m := Message{Event: Missed, Title: fmt.Sprintf("Game day %s was missed %d times", d.name(), n), Facts: d.facts(false), Link: c.Link}
	m.Facts.Why = "nobody was there to begin it"
	m.Lines = []string{m.Facts.Why, "It was planned " + planned + "."}
	out := c.draft(m, d.Schedule, "times", at.UTC().Format(time.RFC3339Nano))
	out.Expires = at.Add(3 * 24 * time.Hour)
	return out, true
}
