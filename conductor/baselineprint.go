package conductor

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"gameday/loadgen/baseline"
	"gameday/report"
)

// WriteBaselines prints for people what 1x is of each stream, and on what it stands.
func WriteBaselines(w io.Writer, traffic []report.TrafficPlan) error {
	out, p := &planText{}, &report.Plan{Traffic: traffic}
	var given []string
	for _, s := range traffic {
		switch {
		case s.KeepExecutors:
			given = append(given, fmt.Sprintf("%-10s the script's own executors", s.Name))
		case s.Baseline == nil:
			given = append(given, fmt.Sprintf("%-10s %g/s, given", s.Name, s.Rate))
		}
	}
	out.section("Given", 24, given)
	out.baselines(p)
	out.unknown(p)
	_, err := io.WriteString(w, strings.TrimLeft(out.b.String(), "\n"))
	return err
}

// baselineText says what 1x is, and how that came about.
func baselineText(t report.TrafficPlan) string {
	switch {
	case t.Baseline == nil:
		return fmt.Sprintf("%g/s baseline (given)", t.Rate)
	case t.Baseline.Measured == nil:
		return "baseline unknown"
	default:
		return fmt.Sprintf("%g/s baseline (measured)", t.Rate)
	}
}

// shownRoutes is how many routes of a mix are printed.
const shownRoutes = 10

// baselines says what was measured, on what it stands, and what was asked for.
func (t *planText) baselines(p *report.Plan) {
	var lines []string
	for _, s := range p.Traffic {
		b := s.Baseline
		if b == nil || b.Measured == nil {
			continue
		}
		lines = append(lines, fmt.Sprintf("%-10s %s", s.Name, b.Words()), fmt.Sprintf("%-10s from %s", "", b.Origin()))
		for _, l := range mixLines(b.Measured.Mix) {
			lines = append(lines, fmt.Sprintf("%-10s %s", "", l))
		}
		for _, n := range b.Measured.Notes {
			lines = append(lines, fmt.Sprintf("%-10s note: %s", "", n))
		}
	}
	t.section("Baseline", 24, lines)
}

// mixLines prints what was asked for: the most frequent routes with their shares, and how they were answered.
func mixLines(m *baseline.Mix) []string {
	if m == nil {
		return nil
	}
	out := []string{fmt.Sprintf("%d requests: %s", m.Requests, cmp.Or(statusText(m.Statuses), "of no known status"))}
	if len(m.Routes) == 1 && m.Routes[0].Route == "-" {
		return out // the log does not tell
	}
	rest := m.Others
	for i, r := range m.Routes {
		if i >= shownRoutes {
			rest.Routes, rest.Requests, rest.Share = rest.Routes+1, rest.Requests+r.Requests, rest.Share+r.Share
			continue
		}
		out = append(out, strings.TrimRight(fmt.Sprintf("%5.1f %%  %-40s %s", 100*r.Share, r.Route, statusText(r.Statuses)), " "))
	}
	if rest.Requests > 0 {
		line := fmt.Sprintf("%5.1f %%  %d other routes", 100*rest.Share, rest.Routes)
		if rest.More {
			line += " or more"
		}
		out = append(out, line)
	}
	return out
}

// statusText prints the shares of classes of status: "97.1 % 2xx, 2.9 % 5xx".
func statusText(shares map[string]float64) string {
	var parts []string
	for _, class := range sortedKeys(shares) {
		parts = append(parts, fmt.Sprintf("%.3g %% %s", 100*shares[class], class))
	}
	return strings.Join(parts, ", ")
}

// unknown says of which streams 1x is not known, and why.
func (t *planText) unknown(p *report.Plan) {
	for _, s := range p.Traffic {
		if s.Baseline != nil && s.Baseline.Error != "" {
			t.line("")
			text := fmt.Sprintf("Traffic %s: 1x from %s is not known: %s", s.Name, s.Baseline.Origin(), s.Baseline.Error)
			if !strings.HasSuffix(text, "?") {
				text += "."
			}
			t.wrapped("  Error: ", "         ", text)
		}
	}
}
