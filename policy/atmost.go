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
	own, some := set{}, 0
	for _, s := range c.Sides {
		own.add(s.Touched...)
		some += s.Some
	}
	n := max(c.Selected, len(own)+some)
	if n > limit {
		c.forbid(RuleAtMost, "the fault touches %d places and may touch %d", n, limit)
		return
	}
	others, names, more := set{}, set{}, 0
	for _, st := range c.Standing {
		for _, s := range st.Sides {
			if s.Some > 0 {
				more += s.Some
				names.add(st.Fault)
			}
			for _, place := range s.Touched {
				if !own[place] {
					others.add(place)
					names.add(st.Fault)
				}
			}
		}
	}
	if n+len(others)+more > limit {
		c.forbid(RuleAtMost, "the fault touches %d places beside the %d of %s at the same time, and a run may touch %d at once",
			n, len(others)+more, names, limit)
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
		some := unnamed(c.Sides, all)
		if n := min(len(alone)+some, len(all)); above(n, len(all), limit) {
			c.forbid(RuleAtMost, "the fault touches %d of the %d places that its selector finds (%.0f %%) and may touch %g %%",
				n, len(all), float64(n)*100/float64(len(all)), limit)
			return
		}
		touched, more, names := c.together(s, alone, all)
		if n := min(len(touched)+some+more, len(all)); above(n, len(all), limit) && len(names) > 0 {
			c.forbid(RuleAtMost, "together with %s it touches %d of the %d places that its selector finds (%.0f %%), and a run may touch %g %% at once",
				names, n, len(all), float64(n)*100/float64(len(all)), limit)
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

// unnamed returns how many of some places sides touch at most of which nobody knows which, beside those that are named.
func unnamed(sides []Side, all set) int {
	n := 0
	for _, s := range sides {
		shared := 0
		for _, place := range s.Found {
			if all[place] {
				shared++
			}
		}
		n += min(s.Some, shared)
	}
	return n
}

// together returns which places of a side's selector are touched at once, by the fault and by others; how many more of which
// nobody knows which; and the others that touch any. What another fault has ended is found no more: it counts, and is added to
// all, where that one's selector finds any place that this one finds.
func (c *check) together(side Side, alone, all set) (touched set, more int, names set) {
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
			if some := unnamed([]Side{s}, found); some > 0 {
				more += some
				names.add(st.Fault)
			}
		}
	}
	return touched, more, names
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
