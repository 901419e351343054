package conductor

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gameday/report"
)

// WritePlan prints a plan for people: what is sent, what is touched, the timeline to the second with how each fault goes
// away, and what is expected.
func WritePlan(w io.Writer, p *report.Plan) error {
	out := &planText{}
	out.line("%-*s %s", max(60, len(p.Scenario)), p.Scenario, p.File)
	if p.Summary != "" {
		out.wrapped("", "", p.Summary)
	}
	out.line("")
	out.traffic(p)
	out.baselines(p)
	out.touches(p)
	out.line("")
	out.timeline(p)
	out.line("")
	out.expected(p)
	out.policy(p)
	out.objects(p)
	out.remarks(p)
	_, err := io.WriteString(w, out.b.String())
	return err
}

// planText gathers lines; a head stands only before the first line of its section.
type planText struct{ b strings.Builder }

func (t *planText) line(format string, args ...any) {
	t.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

// planWidth is how many columns the sentences of a plan take at most.
const planWidth = 100

// wrapped prints a text after a head, and goes on below an indent where a line would be too long. Blanks within a line stay as
// they are; a word that is too long stays whole.
func (t *planText) wrapped(head, indent, text string) {
	line := head
	for begun := false; text != ""; {
		gap := len(text) - len(strings.TrimLeft(text, " "))
		end := len(text)
		if i := strings.IndexByte(text[gap:], ' '); i >= 0 {
			end = gap + i
		}
		piece := text[:end]
		if begun && utf8.RuneCountInString(line+piece) > planWidth {
			t.line("%s", line)
			line, piece = indent, piece[gap:]
		}
		line += piece
		begun = begun || gap < end
		text = text[end:]
	}
	t.line("%s", line)
}

// section prints lines below each other; one that is too long goes on so many columns in.
func (t *planText) section(head string, in int, lines []string) {
	for i, l := range lines {
		if i > 0 {
			head = ""
		}
		t.wrapped(fmt.Sprintf("  %-10s ", head), strings.Repeat(" ", in), l)
	}
}

func (t *planText) traffic(p *report.Plan) {
	var lines []string
	for _, s := range p.Traffic {
		if s.KeepExecutors {
			lines = append(lines, fmt.Sprintf("%-10s the script's own executors, scaled  →  %gx, %s %s%s",
				s.Name, s.Multiple, s.Engine, s.Script, fromText(s)))
			continue
		}
		what := s.Engine + " " + s.Script
		if s.Script == "" {
			what = s.Mix
		}
		lines = append(lines, fmt.Sprintf("%-10s %s  →  %s, open model, %s%s",
			s.Name, baselineText(s), askedText(s), what, fromText(s)))
	}
	for i, s := range p.Traffic {
		if by := blockedText(s.BlockedBy); by != "" {
			lines[i] += "   " + by
		}
	}
	t.section("Traffic", 24, lines)
}

// fromText says where a stream is sent from: ", 1/3 each from here, loadgen-1 and loadgen-2".
func fromText(s report.TrafficPlan) string {
	n := len(s.Generators)
	switch {
	case s.RunOn != "" && n > 1:
		return fmt.Sprintf(", 1/%d each from %s", n, s.RunOn)
	case s.RunOn != "":
		return ", from " + s.RunOn
	}
	switch n {
	case 0:
		return ""
	case 1:
		return ", from " + s.Generators[0]
	}
	return fmt.Sprintf(", 1/%d each from %s and %s", n, strings.Join(s.Generators[:n-1], ", "), s.Generators[n-1])
}

// askedText says what the load phase asks of a stream: "3x = 120/s, steps 1 2 3 hold 30s, poisson".
func askedText(s report.TrafficPlan) string {
	text := "not known"
	switch {
	case s.Multiple > 0 && s.Rate > 0:
		text = fmt.Sprintf("%sx = %s/s", rounded(s.Multiple), rounded(s.Rate*s.Multiple))
	case s.Multiple > 0:
		text = rounded(s.Multiple) + "x"
	}
	if manner := s.Manner(); manner != "" {
		text += ", " + manner
	}
	return text
}

// rounded prints a number with two decimals at most, and a small one with three digits.
func rounded(v float64) string {
	if v < 1 {
		return fmt.Sprintf("%.3g", v)
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

func (t *planText) touches(p *report.Plan) {
	var lines []string
	for _, g := range p.Targets {
		if !touched(p, g.Name) {
			continue
		}
		what := strings.Join(g.Places, "; ")
		switch {
		case what != "":
		case g.Pending:
			what = "known once the lab is up"
		case g.Unknown:
			what = "not known"
		default:
			what = "nothing now"
		}
		lines = append(lines, fmt.Sprintf("%-10s %-30s %s   %s", g.Name, g.Selector, choiceText(g), what))
	}
	for _, f := range p.Faults {
		if len(f.Targets) > 0 {
			continue
		}
		lines = append(lines, fmt.Sprintf("%-10s what the manifest of fault %s says", "cluster", f.Name))
		for _, hit := range slices.Concat(f.Hits, f.HitsUnknown) {
			lines = append(lines, fmt.Sprintf("%-10s   %s", "", hit))
		}
	}
	if len(lines) == 0 {
		lines = []string{"nothing: no fault is declared"}
	}
	t.section("Touches", 24, lines)
	if p.Cluster != "" {
		text := p.Cluster
		if p.ClusterUID != "" {
			text += "; its namespace kube-system has uid " + p.ClusterUID
		}
		t.section("Cluster", 13, []string{text})
	}
	if p.Blast != "" {
		t.section("Blast", 13, []string{p.Blast})
	}
}

func touched(p *report.Plan, target string) bool {
	return slices.ContainsFunc(p.Faults, func(f report.FaultPlan) bool { return slices.Contains(f.Targets, target) })
}

// moment is one line of the timeline.
type moment struct {
	at   time.Duration
	text string
}

func (t *planText) timeline(p *report.Plan) {
	var all []moment
	for _, ph := range p.Phases {
		all = append(all, moment{ph.At, fmt.Sprintf("%-9s %s", ph.Phase, phaseText(p, ph.Phase))})
	}
	for _, s := range p.Traffic {
		if s.Start != nil {
			starts := fmt.Sprintf("  ▸ %-9s traffic starts, at %sx", s.Name, rounded(first(s)))
			all = append(all, moment{loadBegins(p) + *s.Start, starts})
		}
	}
	for _, f := range p.Faults {
		all = append(all, moment{f.At, faultText(f)})
		for _, preview := range f.Previews {
			all = append(all, moment{f.At, "              " + preview})
		}
		if by := blockedText(f.BlockedBy); by != "" {
			all = append(all, moment{f.At, "              " + by})
		}
	}
	last := p.Phases[len(p.Phases)-1]
	all = append(all, moment{last.At + last.Length, "end"})
	slices.SortStableFunc(all, func(a, b moment) int { return int(a.at - b.at) })
	for _, m := range all {
		t.wrapped(fmt.Sprintf("  %-6s ", mmss(m.at)), "                       ", m.text)
	}
}

// loadBegins is the begin of the load phase on the run's clock.
func loadBegins(p *report.Plan) time.Duration {
	for _, ph := range p.Phases {
		if ph.Phase == report.Load {
			return ph.At
		}
	}
	return 0
}

// first is the multiple that a stream begins with.
func first(s report.TrafficPlan) float64 {
	if s.Program != nil {
		return s.Program.From
	}
	return s.Multiple
}

func phaseText(p *report.Plan, ph report.Phase) string {
	ramp, load, recovery := "to the multiple", "at the multiple", "at the multiple"
	if slices.ContainsFunc(p.Traffic, func(s report.TrafficPlan) bool { return s.Shape != "" }) {
		ramp, load, recovery = "to where the shapes begin", "along the shapes", "where the shapes ended"
	}
	switch ph {
	case report.Baseline:
		if names := expectNames(p, report.PartSteady); names != "" {
			return "1x; the steady state must hold: " + names
		}
		return "1x"
	case report.Ramp:
		return ramp
	case report.Control:
		return load + ", without a fault: what fires here fires without one"
	case report.Load:
		if names := expectNames(p, report.PartCapacity); names != "" {
			return load + "; capacity: " + names
		}
		return load
	default:
		if expectNames(p, report.PartSteady) == "" {
			return recovery
		}
		return recovery + "; the steady state must hold again"
	}
}

func expectNames(p *report.Plan, part report.ExpectPart) string {
	var names []string
	for _, e := range p.Expects {
		if e.Part == part {
			names = append(names, e.Name)
		}
	}
	return strings.Join(names, ", ")
}

func faultText(f report.FaultPlan) string {
	s := fmt.Sprintf("  ✱ %-9s %s", f.Name, f.Kind)
	if len(f.Objects) > 0 {
		s += " (" + strings.Join(f.Objects, ", ") + ")"
	}
	if len(f.Targets) > 0 {
		s += " " + strings.Join(f.Targets, " ↮ ")
	}
	if f.Duration > 0 {
		s += ", " + short(f.Duration)
	}
	if f.After != "" {
		s += fmt.Sprintf(", %s after %s at the earliest", short(f.Wait), f.After)
	}
	s += "   " + f.Undoing
	if f.RestartsWithin > 0 {
		s += fmt.Sprintf("; must be back within %s", short(f.RestartsWithin))
	}
	if f.Lease > 0 {
		s += fmt.Sprintf(" (lease %s)", short(f.Lease))
	}
	return s
}

func (t *planText) expected(p *report.Plan) {
	var lines []string
	for _, a := range p.Alarms {
		var limits []string
		for _, l := range []struct {
			what   string
			within time.Duration
		}{{"fires", a.FiresWithin}, {"pages", a.PagesWithin}, {"clears", a.ClearsWithin}} {
			if l.within > 0 {
				limits = append(limits, fmt.Sprintf("%s ≤ %s", l.what, short(l.within)))
			}
		}
		if a.First {
			limits = append(limits, "pages first")
		}
		if a.Quiet {
			limits = append(limits, "stays quiet")
		}
		for _, k := range sortedKeys(a.Labels) {
			limits = append(limits, k+" "+a.Labels[k])
		}
		if len(a.Annotations) > 0 {
			limits = append(limits, "with "+strings.Join(a.Annotations, ", "))
		}
		if len(a.Links) > 0 {
			limits = append(limits, strings.Join(a.Links, ", ")+" answers")
		}
		if a.Receiver != "" {
			limits = append(limits, "routed to "+a.Receiver)
		}
		cause := ""
		if a.Cause != "" {
			cause = " after " + a.Cause
		}
		lines = append(lines, fmt.Sprintf("%-16s %-18s %s%s%s", a.Name, a.Source, strings.Join(limits, ", "), cause, required(a.Required)))
	}
	for _, r := range p.Responses {
		lines = append(lines, fmt.Sprintf("%-16s %-18s %s", r.Name, r.Source, responseText(r)))
	}
	t.section("Expected", 49, lines)
	if p.Noise != nil {
		t.section("Noise", 15, []string{noiseText(p.Noise)})
	}
	if len(p.RealPages) > 0 {
		t.section("Pages", 15, []string{"REAL: people are paged by " + strings.Join(p.RealPages, ", ")})
	}
	var aborts []string
	for _, a := range p.Aborts {
		if a.Incident != "" {
			aborts = append(aborts, fmt.Sprintf("%s: %s that no alarm here accounts for", a.Name, a.Source))
			continue
		}
		aborts = append(aborts, fmt.Sprintf("%s: %s held for %s", a.Name, a.Source, short(a.Held)))
	}
	t.section("Aborts", 15, aborts)
	var secrets []string
	for _, s := range p.Secrets {
		state := "not set"
		if s.Set {
			state = "set"
		}
		secrets = append(secrets, fmt.Sprintf("%s (%s)", s.Name, state))
	}
	t.section("Secrets", 15, secrets)
}

// noiseText says what counts as noise, and how much of it is borne.
func noiseText(n *report.NoisePlan) string {
	labels := func(m map[string]string) string {
		var words []string
		for _, k := range sortedKeys(m) {
			words = append(words, k+" "+m[k])
		}
		return strings.Join(words, ", ")
	}
	text := fmt.Sprintf("any other alarm with %s", labels(n.Watch))
	if len(n.Watch) == 0 {
		text = "any other alarm"
	}
	if len(n.Pages) > 0 {
		text += fmt.Sprintf(" (without %s it counts a fifth)", labels(n.Pages))
	}
	if len(n.Allow) > 0 {
		text += " but " + strings.Join(n.Allow, ", ")
	}
	text += fmt.Sprintf(": at most %d", n.AtMost)
	if n.PerPerson != nil {
		text += fmt.Sprintf("; pages for any one person: at most %d", *n.PerPerson)
	}
	return text
}

func required(is bool) string {
	if is {
		return "    required"
	}
	return ""
}

func responseText(r report.ResponsePlan) string {
	var parts []string
	if r.Withhold {
		parts = append(parts, "level 1 is asked not to acknowledge")
	}
	for _, d := range r.Named() {
		text := d.Text
		switch {
		case d.What == "acknowledge":
			if r.Acknowledge.Level > 0 {
				text += fmt.Sprintf(" at level %d", r.Acknowledge.Level)
			}
			if r.Acknowledge.OnCall {
				text += " by who is on call"
			}
		case d.What == "diagnose":
			text += fmt.Sprintf(" (%s)", r.Diagnose.Expect)
		case d.What == "resolve" && r.Resolve.AfterService:
			text += " once the service is back"
		}
		text += " ≤ " + short(d.Within)
		if d.What == "escalate" && r.Escalate.OnlyAfter > 0 {
			text += " if not acknowledged by " + short(r.Escalate.OnlyAfter)
		}
		if d.MinEvidence != "" {
			text += " (grade " + d.MinEvidence + ")"
		}
		parts = append(parts, text+required(d.Required))
	}
	return strings.Join(parts, "; ")
}

// policy says which policies were asked, and what they forbid.
func (t *planText) policy(p *report.Plan) {
	if p.Policy == nil {
		return
	}
	var lines []string
	for _, f := range p.Policy.Files {
		lines = append(lines, fmt.Sprintf("%s (%.8s)", f.File, f.Digest))
	}
	if p.Policy.ApprovedBy != "" {
		lines = append(lines, "approved by "+p.Policy.ApprovedBy)
	}
	if len(p.Policy.Violations) == 0 {
		lines = append(lines, "allowed, at "+p.Policy.At.UTC().Format("Mon 2006-01-02 15:04 MST"))
	}
	t.section("Policy", 15, lines)
	if len(p.Policy.Violations) > 0 {
		t.line("")
	}
	for _, v := range p.Policy.Violations {
		t.wrapped("  Error: ", "         ", v.About()+": "+v.Text+" ("+v.Rule+" in "+v.Policy+").")
	}
}

func (t *planText) remarks(p *report.Plan) {
	t.unknown(p)
	if len(p.Warnings) > 0 && !strings.HasSuffix(t.b.String(), "\n\n") {
		t.line("")
	}
	t.findings(p)
	for _, w := range p.Warnings {
		if slices.ContainsFunc(p.Findings, func(f report.FindingPlan) bool { return f.Text() == w }) {
			continue
		}
		t.wrapped("  Warning: ", "           ", w)
	}
}

// mmss prints an instant on the run's clock: "1:40".
func mmss(d time.Duration) string {
	d = d.Round(time.Second)
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
