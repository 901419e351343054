package policy

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// amounts checks how much is touched at once: by the fault on all its sides, and together with the other faults of the run
// that stand at the same time. A place that two faults touch is one place.
func (c *check) amounts() {
	if c.Anywhere { // said already
		return
	}
	c.count()
	c.share()
}

// count checks the number of places.
func (c *check) count() {
	limit := c.AtMost.Places
	if limit <= 0 {
		return
	}
	own := set{}
	for _, s := range c.Sides {
		own.add(s.Touched...)
	}
	n := max(c.Selected, len(own))
	if n > limit {
		c.forbid(RuleAtMost, "the fault touches %d places and may touch %d", n, limit)
		return
	}
	others, names := set{}, set{}
	for _, st := range c.Standing {
		for _, s := range st.Sides {
			for _, place := range s.Touched {
				if !own[place] {
					others.add(place)
					names.add(st.Fault)
				}
			}
		}
	}
	if n+len(others) > limit {
		c.forbid(RuleAtMost, "the fault touches %d places beside the %d of %s at the same time, and a run may touch %d at once",
			n, len(others), names, limit)
	}
}

// share checks the percentage: by the counts alone where that is all that is known, and otherwise for each side.
func (c *check) share() {
	limit := c.AtMost.Percent
	if limit <= 0 {
		return
	}
	switch {
	case c.Found <= 0 || c.Selected <= 0:
		if !c.Unresolved {
			c.forbid(RuleAtMost, "nobody says how many places the selector finds, of which the fault may touch %g %%", limit)
		}
		return
	case !c.manySided() && above(c.Selected, c.Found, limit):
		c.forbid(RuleAtMost, "the fault touches %d of the %d places that its selector finds (%.0f %%) and may touch %g %%",
			c.Selected, c.Found, float64(c.Selected)*100/float64(c.Found), limit)
		return
	}
	for i, s := range c.Sides {
		if len(s.Found) == 0 {
			continue
		}
		all := newSet(s.Found, s.Touched)
		alone := c.alone(i, all)
		if above(len(alone), len(all), limit) {
			c.forbid(RuleAtMost, "the fault touches %d of the %d places that its selector finds (%.0f %%) and may touch %g %%",
				len(alone), len(all), float64(len(alone))*100/float64(len(all)), limit)
			return
		}
		touched, names := c.together(s, alone, all)
		if above(len(touched), len(all), limit) {
			c.forbid(RuleAtMost, "together with %s it touches %d of the %d places that its selector finds (%.0f %%), and a run may touch %g %% at once",
				names, len(touched), len(all), float64(len(touched))*100/float64(len(all)), limit)
			return
		}
	}
}

// manySided reports whether the fault has several sides, each of which tells what its selector finds.
func (c *check) manySided() bool {
	return len(c.Sides) > 1 && !slices.ContainsFunc(c.Sides, func(s Side) bool { return len(s.Found) == 0 })
}

// alone returns which places of a side's selector the fault touches, on any side.
func (c *check) alone(side int, all set) set {
	touched := newSet(c.Sides[side].Touched)
	for i, s := range c.Sides {
		for _, place := range s.Touched {
			if i != side && all[place] {
				touched.add(place)
			}
		}
	}
	return touched
}

// together returns which places of a side's selector are touched at once, by the fault and by others, and the others that
// touch any. What another fault has ended is found no more: it counts, and is added to all, where that one's selector finds
// any place that this one finds.
func (c *check) together(side Side, alone, all set) (touched, names set) {
	touched, names = maps.Clone(alone), set{}
	found := newSet(side.Found)
	for _, st := range c.Standing {
		for _, s := range st.Sides {
			ended := st.Ends && slices.ContainsFunc(s.Found, func(place string) bool { return found[place] })
			for _, place := range s.Touched {
				if !found[place] && !ended {
					continue
				}
				touched.add(place)
				all.add(place)
				names.add(st.Fault)
			}
		}
	}
	return touched, names
}

// above reports whether n of all is more than so many percent.
func above(n, all int, percent float64) bool { return float64(n)*100 > percent*float64(all) }

// set is a set of names.
type set map[string]bool

func newSet(lists ...[]string) set {
	s := set{}
	for _, l := range lists {
		s.add(l...)
	}
	return s
}

func (s set) add(names ...string) {
	for _, n := range names {
		s[n] = true
	}
}

// String lists the names in their order.
func (s set) String() string {
	var names []string
	for n := range s {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, " and ")
}

// matchHost is Match for names of machines, in which the case of letters and a dot at the end mean nothing. Of a name with
// dots that is no address the first part counts as well.
func matchHost(patterns []string, name string) (string, bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for _, p := range patterns {
		lower := []string{strings.ToLower(strings.TrimSuffix(p, "."))}
		if _, denied := Match(lower, name); denied {
			return p, true
		}
		first, _, dotted := strings.Cut(name, ".")
		if _, denied := Match(lower, first); denied && dotted && !address(name) {
			return p, true
		}
	}
	return "", false
}

func address(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}
