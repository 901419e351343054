package truth

import (
	"fmt"
	"slices"
	"strings"
)

// String tells the whole story of a world, in seconds since the run's start.
func (w *World) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("world %d: control %s, load %s, recovery %s, over %s (%s), pass mark %.0f", w.Seed, sec(w.control), sec(w.load), sec(w.back), sec(w.ended), w.reason, w.pass)
	for _, f := range w.faults {
		line("fault %s: %v, onset %s in %s, gone %s in %s", f.name, [...]string{"stood", "refused", "lapsed", "left",
			"interrupted"}[f.fate], sec(f.onset), f.told, sec(f.gone), f.over)
	}
	for _, s := range []*source{w.rules, w.router, w.desk} {
		line("source %s: every %s, ahead %s (said %s ± %s, cut to %s), stamps %t, pending %t, blind %v, away %v, silent %t", s.name,
			sec(s.every), sec(s.ahead), sec(s.claimed), sec(s.err), sec(s.grain), s.stamps, s.pending, s.blind, s.away, s.silent)
	}
	for _, a := range slices.Concat(w.alarms, w.strangers) {
		p := a.plan
		line("alarm %s of %s: fires %s, pages %s by %q, clears %s, silenced %v", a.labels["alertname"], p.Cause, sec(p.FiresWithin),
			sec(p.PagesWithin), p.PagesVia, sec(p.ClearsWithin), a.hushed)
		for i, o := range a.bouts {
			line("  %d: pending %s, firing %s, over %s", i, sec(o.pending), sec(o.fired), sec(o.ended))
		}
		for _, p := range w.pages {
			if p.alarm != a {
				continue
			}
			line("  page %s of bout %d left %s", p.id, p.bout, sec(p.left))
			for _, h := range p.events {
				line("    %s %s level %d by %s %v %s (%t)", sec(h.at), h.Kind, h.Level, h.Actor.ID, h.Targets, h.Delivered, h.truly)
			}
		}
	}
	return b.String()
}

// String prints a span.
func (s span) String() string { return sec(s.from) + "–" + sec(s.to) }

func sec(d interface{ Seconds() float64 }) string {
	if s := d.Seconds(); s < forever.Seconds()/2 {
		return fmt.Sprintf("%.3f", s)
	}
	return "∞"
}
