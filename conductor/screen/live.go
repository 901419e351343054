package screen

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"gameday/loadgen/sli"
	"gameday/report"
)

// barWidth is how many columns the phase's progress takes.
const barWidth = 20

// live returns the lines that are drawn again and again.
func (s *state) live(o Options) []string {
	lines := []string{"", s.head(o)}
	if s.hold != nil {
		lines = append(lines, s.held())
	}
	for _, t := range s.plan.Traffic {
		if st := s.streams[t.Name]; st != nil {
			lines = append(lines, st.line(t))
		}
	}
	if !o.Blind {
		for _, in := range s.standing {
			effect := ""
			if in.Effect != nil {
				effect = in.Effect.Summary
			}
			lines = append(lines, fmt.Sprintf(" standing   %s  %s on %s  since %s  (%s)", in.Fault, in.Kind, in.Place,
				seconds((s.now-s.happened[in.Fault]).Round(time.Second)), effect))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.firing)) {
		line := fmt.Sprintf(" alarm      %s  %s", name, s.firing[name].words(s.now))
		if p := s.expected(map[string]string{"alertname": name}); p != nil && p.FiresWithin > 0 {
			line += fmt.Sprintf("   (limit %s)", seconds(p.FiresWithin))
		}
		lines = append(lines, line)
	}
	for _, page := range slices.Sorted(maps.Keys(s.pages)) {
		lines = append(lines, fmt.Sprintf(" page       #%s  %s", page, s.pages[page].words(s.now)))
	}
	return lines
}

// head is the line with phase, clock and what comes next.
func (s *state) head(o Options) string {
	length := time.Duration(0)
	for _, p := range s.plan.Phases {
		if p.Phase == s.phase {
			length = p.Length
		}
	}
	elapsed := s.elapsed()
	filled := barWidth
	if length > 0 {
		filled = min(barWidth, int(float64(barWidth)*float64(elapsed)/float64(length)))
	}
	bar := strings.Repeat("█", filled) + strings.Repeat("░", barWidth-filled)
	line := fmt.Sprintf(" %s   %s %s / %s   %s", s.plan.Scenario, s.phase, mmss(elapsed), mmss(length), bar)
	if next := s.next(); next != "" && !o.Blind {
		line += "   next: " + next
	}
	return line
}

// next names the nearest planned event.
func (s *state) next() string {
	best, name := time.Duration(math.MaxInt64), ""
	consider := func(at time.Duration, what string) {
		if at > s.now && at < best {
			best, name = at, what
		}
	}
	for _, f := range s.plan.Faults {
		began, injected := s.happened[f.Name]
		switch {
		case !injected:
			if s.hold == nil {
				consider(s.due(f.At), f.Name)
			}
		case f.Duration > 0:
			consider(began+f.Duration, f.Name+" ends")
		}
	}
	if s.phase != report.Recovery && s.hold == nil {
		for _, p := range s.plan.Phases {
			consider(s.due(p.At), string(p.Phase))
		}
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf("%s in %s", name, mmss(best-s.now))
}

// line is one stream: rate against target, errors, latency, what was dropped, and the last seconds' p95 as a picture.
func (st *streamState) line(t report.TrafficPlan) string {
	a := &sli.Aggregate{}
	for _, w := range st.recent {
		a.Add(w)
	}
	show := func(name, format string, scale float64) string {
		if v, ok := a.Read("", name); ok {
			return fmt.Sprintf(format, v*scale)
		}
		return "–"
	}
	return fmt.Sprintf(" %-10s %s/s of %d/s   errors %s   p95 %s   dropped %d   %s", t.Name, show("rate", "%.0f", 1), st.last.Due,
		show("error_ratio", "%.1f %%", 100), show("p95", "%.0f ms", 1000), st.last.Dropped, report.Spark(st.trend))
}

// mmss prints a duration as "1:52".
func mmss(d time.Duration) string {
	d = d.Round(time.Second)
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
