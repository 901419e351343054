package truth

import (
	"time"

	"gameday/report"
	"gameday/responders"
)

// perPersonFact is about how many pages reached whoever got the most.
func (w *World) perPersonFact(most int) Fact {
	f := Fact{Answer: Kept, Value: 1, Part: report.Detection, Weight: 1, Plain: w.desk.whole() && w.desk.phase < time.Second} // and from the first second on
	got := map[string]int{}
	for _, p := range w.pages {
		reached := map[string]bool{}
		for _, h := range p.events {
			if h.Kind != responders.Notified {
				continue
			}
			f.Plain = f.Plain && h.Delivered != "unknown" && h.at < w.ended-w.desk.blur() && h.at > w.desk.blur()
			if h.truly {
				reached[h.Targets[0]] = true
			}
		}
		for who := range reached {
			got[who]++
		}
	}
	n := 0
	for _, k := range got {
		n = max(n, k)
	}
	if n > most {
		f.Answer, f.Value = Broken, max(0, 1-float64(n-most)/float64(1+most))
	}
	return f
}
