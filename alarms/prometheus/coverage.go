package prometheus

import (
	"context"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/sources/looks"
)

// coverage joins the time in which the server was scraping with the time in which Watch saw the rules evaluated, and
// takes away the time in which Watch saw that an expected rule was missing or failing.
func (s *Source) coverage(p *past, span clock.Span, offset clock.Offset) alarms.Coverage {
	c := alarms.Coverage{Resolution: s.poll, Offset: offset, Blind: blind(span)}
	ours := make([]clock.Span, 0, len(p.up))
	for _, u := range p.up {
		ours = append(ours, clock.Span{Start: u.Start.Add(-offset.Ahead), End: u.End.Add(-offset.Ahead)})
	}
	faults := s.account.Faults()
	var broken []clock.Span
	for _, f := range faults {
		// What was only out of our reach is repaired by the past; what could not know is not.
		if !unreached(f) {
			broken = append(broken, f.Span)
		}
	}
	looked := s.account.Spans()
	// When nobody looked during the run, what is wrong now must be taken to have been wrong then.
	unwatched := len(looked) == 0 && len(faults) == 0
	s.check(p.rules, p.askedAt, func(mine []rule, wrong *problem) {
		for _, r := range mine {
			c.Resolution = max(c.Resolution, r.Interval)
		}
		if unwatched && wrong != nil && !wrong.settling {
			broken = append(broken, span)
			faults = append(faults, looks.Fault{Span: span, Why: wrong.summary})
		}
	})
	c.Spans = looks.Clip(looks.Without(append(ours, looked...), broken), span)
	slack := max(2*s.poll, 2*p.scrape)
	c.Why = looks.Explain(c.Spans, span, faults, slack, "it was not running: no samples of up")
	return c
}

// blind says that pages are not seen here.
func blind(span clock.Span) []alarms.Blind {
	return []alarms.Blind{{To: alarms.StatePaged, Spans: []clock.Span{span}, Why: "whether anybody was paged is not known here"}}
}

// unreachable begins the reason of a look that had no answer.
const unreachable = "unreachable: "

// unreached reports whether a fault was only one of reaching the server.
func unreached(f looks.Fault) bool { return strings.HasPrefix(f.Why, unreachable) }

// evaluating returns when the server was at work, from the stamps of its newest sample of up, and the scrape interval
// assumed. All in the server's clock.
func (s *Source) evaluating(ctx context.Context, from, to time.Time) ([]clock.Span, time.Duration, error) {
	step := max(time.Second, to.Sub(from)/10_000).Round(time.Millisecond)
	list, _, err := s.span(ctx, "max(timestamp(up))", from, to, step)
	if err != nil {
		return nil, 0, err
	}
	var stamps []time.Time
	for _, one := range list {
		for _, v := range one.Samples {
			stamps = append(stamps, stamp(v.Value))
		}
	}
	slices.SortFunc(stamps, func(a, b time.Time) int { return a.Compare(b) })
	stamps = slices.CompactFunc(stamps, func(a, b time.Time) bool { return a.Equal(b) })
	scrape, ok := s.scrapeInterval(ctx)
	if !ok {
		scrape = typical(stamps)
	}
	return runs(stamps, to, max(3*scrape, 2*step)), scrape, nil
}

// runs joins stamps that are at most apart from each other to spans, the last of which reaches to the end when it is
// near.
func runs(stamps []time.Time, end time.Time, apart time.Duration) []clock.Span {
	var out []clock.Span
	for _, t := range stamps {
		if n := len(out); n > 0 && t.Sub(out[n-1].End) <= apart {
			out[n-1].End = t
			continue
		}
		out = append(out, clock.Span{Start: t, End: t})
	}
	if n := len(out); n > 0 && end.After(out[n-1].End) && end.Sub(out[n-1].End) <= apart {
		out[n-1].End = end
	}
	return out
}

// typical returns the median of the distances between stamps, a minute when there are too few to tell.
func typical(stamps []time.Time) time.Duration {
	if len(stamps) < 3 {
		return time.Minute
	}
	apart := make([]time.Duration, 0, len(stamps)-1)
	for i := range stamps[1:] {
		apart = append(apart, stamps[i+1].Sub(stamps[i]))
	}
	slices.Sort(apart)
	return apart[len(apart)/2]
}

// intervalLine finds the scrape intervals in a configuration as the server prints it: with all defaults filled in.
var intervalLine = regexp.MustCompile(`(?m)^[ \t-]*scrape_interval:[ \t]*(\S+)[ \t]*$`)

// scrapeInterval returns the shortest scrape interval of the server's configuration; ok is false when it does not tell.
func (s *Source) scrapeInterval(ctx context.Context) (time.Duration, bool) {
	var data struct {
		YAML string `json:"yaml"`
	}
	if _, err := s.ask(ctx, "/api/v1/status/config", nil, &data); err != nil {
		return 0, false
	}
	shortest := time.Duration(math.MaxInt64)
	for _, m := range intervalLine.FindAllStringSubmatch(data.YAML, -1) {
		if d, ok := duration(m[1]); ok {
			shortest = min(shortest, d)
		}
	}
	return shortest, shortest != math.MaxInt64
}

var (
	durationForm  = regexp.MustCompile(`^(\d+(ms|[ywdhms]))+$`)
	durationPart  = regexp.MustCompile(`(\d+)(ms|[ywdhms])`)
	durationUnits = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
		"d": 24 * time.Hour, "w": 7 * 24 * time.Hour, "y": 365 * 24 * time.Hour}
)

// duration reads a duration as Prometheus writes it: "1m30s", "1d".
func duration(text string) (time.Duration, bool) {
	if !durationForm.MatchString(text) {
		return 0, false
	}
	var sum time.Duration
	for _, m := range durationPart.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseInt(m[1], 10, 32)
		if err != nil {
			return 0, false
		}
		sum += time.Duration(n) * durationUnits[m[2]]
	}
	return sum, sum > 0
}
