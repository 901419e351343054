package targets

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Amount is how many of some places: a count, a share in percent, or all of them. The zero Amount is all.
type Amount struct {
	Count   int     // 0 when it is a share or all
	Percent float64 // 0 when it is a count or all
}

// ParseAmount reads a share or a count as a scenario writes them: "50%", "2", "all".
func ParseAmount(text string) (Amount, error) {
	if text == "all" {
		return Amount{}, nil
	}
	if share, ok := strings.CutSuffix(text, "%"); ok {
		p, err := strconv.ParseFloat(strings.TrimSpace(share), 64)
		if err != nil || !(p > 0 && p <= 100) { // written so that it refuses NaN
			return Amount{}, fmt.Errorf("%q is not a share: it is more than 0%% and at most 100%%", text)
		}
		return Amount{Percent: p}, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return Amount{}, fmt.Errorf("%q is neither a count of places nor a share of them", text)
	}
	return Amount{Count: n}, nil
}

// All reports whether the Amount is all there is.
func (a Amount) All() bool { return a == Amount{} }

// String returns "2", "50%" or "all".
func (a Amount) String() string {
	switch {
	case a.Percent != 0:
		return strconv.FormatFloat(a.Percent, 'g', -1, 64) + "%"
	case a.Count != 0:
		return strconv.Itoa(a.Count)
	}
	return "all"
}

// up returns how many of n are picked: a share is rounded up, so that it is at least one of at least one.
func (a Amount) up(n int) int {
	switch {
	case a.Percent != 0:
		return min(n, int(math.Ceil(share(a.Percent, n))))
	case a.Count != 0:
		return min(n, a.Count)
	}
	return n
}

// down returns how many of n a bound allows: a share is rounded down, so that the bound is never passed.
func (a Amount) down(n int) int {
	switch {
	case a.Percent != 0:
		return int(math.Floor(share(a.Percent, n)))
	case a.Count != 0:
		return a.Count
	}
	return n
}

// share returns percent of n. What is an integer but for the last bits of a float is one: 7% of 100 is 7, not more.
func share(percent float64, n int) float64 {
	exact := percent * float64(n) / 100
	if whole := math.Round(exact); math.Abs(exact-whole) < 1e-9 {
		return whole
	}
	return exact
}

// Choice says how many of the places that a selector finds are touched, and which.
type Choice struct {
	// Pick is how many are taken of those found; a count that is more than there are takes them all.
	Pick Amount
	// AtMost bounds how many may be touched, after the pick. A share is of those found.
	AtMost Amount
	// Seed decides which are picked. The same seed picks the same ones of the same places, for each target on its own.
	Seed int64
}

// pick returns which of n places are touched, by their positions in the target's order, ascending: the first so many of a
// shuffle that depends on the seed, the target's name and n alone. A larger pick of the same contains a smaller one.
func (c Choice) pick(target string, n int) []int {
	name := fnv.New64a()
	name.Write([]byte(target))
	k := c.Pick.up(n)
	order := rand.New(rand.NewPCG(uint64(c.Seed), name.Sum64())).Perm(n)
	return slices.Sorted(slices.Values(order[:k]))
}

// choose names the places that were found, and picks.
func (t *localTarget) choose(found []*localPlace) (Resolution, error) {
	slices.SortFunc(found, older)
	var r Resolution
	for i, p := range found {
		p.Name = t.name
		if len(found) > 1 {
			p.Name = fmt.Sprintf("%s/%d", t.name, i+1)
		}
		r.Found = append(r.Found, p)
	}
	var texts []string
	for _, i := range t.choice.pick(t.name, len(found)) {
		r.Picked, texts = append(r.Picked, r.Found[i]), append(texts, found[i].text)
	}
	if limit := t.choice.AtMost.down(len(found)); len(texts) > limit {
		return Resolution{}, &TooManyError{Target: t.name, Selector: t.selector.String(), Choice: t.choice,
			Of: len(found), AtMost: limit, Found: texts}
	}
	return r, nil
}

// older orders processes by age, so that the same ones of a service are picked after it was restarted, and those as old as
// each other by pid. Other places are ordered by what is said of them, and those of several hosts by the hosts first.
func older(a, b *localPlace) int {
	if a.order != b.order {
		return cmp.Compare(a.order, b.order)
	}
	if a.Process == nil || b.Process == nil {
		return strings.Compare(a.text, b.text)
	}
	return cmp.Or(cmp.Compare(a.Process.Start, b.Process.Start), cmp.Compare(a.Process.PID, b.Process.PID))
}
