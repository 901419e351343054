package looks

import (
	"strings"
	"testing"
	"time"

	"gameday/clock"
)

func TestPostings(t *testing.T) {
	began := time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)
	at := func(sec int) time.Time { return began.Add(time.Duration(sec) * time.Second) }
	hour := clock.Span{Start: began, End: at(3600)}
	p := NewPostings(time.Minute)
	for sec := 0; sec <= 600; sec += 60 {
		p.Good(at(sec))
	}
	p.Garbled(at(630), "not JSON")
	p.Good(at(660))
	covered, why := p.Cover(hour, []Fault{{Span: clock.Span{Start: at(100), End: at(110)}, Why: "whose it is"}})
	if got := clock.Share(covered, hour) * 3600; got < 618.9 || got > 619.1 { // 660 s less 31 s and 10 s
		t.Errorf("covered %v s: %v", got, covered)
	}
	text := strings.Join(why, "\n")
	for _, want := range []string{"whose it is", "cannot be read: not JSON", "not even a heartbeat"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not said: %s", want, text)
		}
	}
	if covered, why := NewPostings(0).Cover(hour, nil); len(covered) != 0 || len(why) != 1 {
		t.Errorf("without a heartbeat: %v, %q", covered, why)
	}
	for i := range 2 * mostGarbled {
		p.Garbled(at(1000+i), "again")
	}
	if len(p.garbled) != mostGarbled || !p.garbled[mostGarbled-1].Span.End.Equal(at(1000+2*mostGarbled)) {
		t.Errorf("%d stretches are kept", len(p.garbled))
	}
}
