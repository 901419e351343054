package crier

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"gameday/announce"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// Missed says that several occasions of a schedule were missed, as was seen at one instant: n of them, with the hours from the first to the last.
func (c *Crier) Missed(s *schedules.Schedule, n int, hours announce.Span, at time.Time) {
	if c == nil || c.Now().Sub(hours.To) > longAgo {
		return
	}
	d := &announce.Day{Schedule: s.Name, Blind: s.Blind(), Zone: s.Zone, Hours: []announce.Span{hours}}
	for _, x := range s.Items {
		d.Scenarios = append(d.Scenarios, x.Scenario)
	}
	for _, x := range c.of(s.Name) {
		c.post(x.MissedMany(d, n, at))
	}
}

// Bounds of what Recall tells.
const (
	// mostRecalled is how many messages there are of one schedule at most, the newest: a channel that is new has heard of none.
	mostRecalled = 20
	// recallAfter is how long whoever claims occasions has to tell of them: that is as long as they may take to decide.
	recallAfter = 10 * time.Minute
)

// Recall says that occasions were skipped or missed, by their claims: whoever made those may have died before they told it. What is told is not told again. Of one whose
// hours are not what they were when it was claimed it says nothing, nor of one that was blind then and is not now.
func (c *Crier) Recall(all []*schedules.Schedule, kept []claims.Kept, seed schedules.Seed) {
	if c == nil {
		return
	}
	for _, s := range all {
		var list []*claims.Claim
		for i := range kept {
			x := &kept[i].Claim
			if ago := c.Now().Sub(x.At); x.Schedule == s.Name && x.Outcome == schedules.Skipped && (s.Blind() || !x.Blind) && ago >= recallAfter && ago <= longAgo {
				list = append(list, x)
			}
		}
		groups := together(list)
		for _, g := range groups[max(0, len(groups)-mostRecalled):] {
			if len(g) > 1 {
				hours := announce.Span{From: g[0].Opens}
				for _, x := range g {
					hours.To = later(hours.To, x.Closes)
				}
				c.Missed(s, len(g), hours, g[0].At)
			} else if o := occasion(s, g[0], seed); o != nil {
				c.notHeld(s, o, g[0].Why, strings.HasPrefix(g[0].Why, schedules.MissedWhy), g[0].At)
			}
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// together puts those claims together that were missed, as was seen at one instant, in the order in which they opened.
func together(list []*claims.Claim) (out [][]*claims.Claim) {
	missed := func(x *claims.Claim) bool { return strings.HasPrefix(x.Why, schedules.MissedWhy) }
	slices.SortStableFunc(list, func(a, b *claims.Claim) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(rank(missed(a)), rank(missed(b))), a.Opens.Compare(b.Opens))
	})
	for i, x := range list {
		if i > 0 && missed(x) && missed(list[i-1]) && x.At.Equal(list[i-1].At) {
			out[len(out)-1] = append(out[len(out)-1], x)
			continue
		}
		out = append(out, []*claims.Claim{x})
	}
	return out
}

func rank(missed bool) int {
	if missed {
		return 0
	}
	return 1
}

// occasion returns what was claimed, or nil when it has other hours now.
func occasion(s *schedules.Schedule, x *claims.Claim, seed schedules.Seed) *schedules.Occasion {
	for o := range s.Upcoming(x.Opens.Add(-time.Second), seed) {
		switch {
		case o.ID == x.Occasion && o.Opens().Equal(x.Opens) && o.Closes().Equal(x.Closes):
			return &o
		case o.Opens().After(x.Opens):
			return nil
		}
	}
	return nil
}
