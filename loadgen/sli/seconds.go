package sli

import "slices"

// seconds is a set of seconds, as runs of them that neither touch nor overlap, in order: a day without a gap is one.
type seconds []run

// run is the seconds from one, which is in it, to another, which is not.
type run struct{ from, to int64 }

// add puts the seconds [from, to) into the set.
func (s *seconds) add(from, to int64) {
	// Runs i to j touch the new one. Most often that is the last one, or none.
	j := len(*s)
	for j > 0 && (*s)[j-1].from > to {
		j--
	}
	i := j
	for i > 0 && (*s)[i-1].to >= from {
		i--
	}
	if i == j {
		*s = slices.Insert(*s, i, run{from, to})
		return
	}
	(*s)[i] = run{min(from, (*s)[i].from), max(to, (*s)[j-1].to)}
	*s = slices.Delete(*s, i+1, j)
}

// count returns how many seconds are in the set.
func (s seconds) count() int {
	n := int64(0)
	for _, r := range s {
		n += r.to - r.from
	}
	return int(n)
}
