package report

import (
	"testing"
	"time"

	"gameday/clock"
)

// TestWatchedAllThrough asks of a source that looks every ten seconds.
func TestWatchedAllThrough(t *testing.T) {
	for name, c := range map[string]struct {
		spans []clock.Span
		need  clock.Span
		want  bool
	}{
		"all":                                 {smallWhole, during(20, 40), true},
		"nothing":                             {nil, during(20, 25), false},
		"a gap of one look":                   {[]clock.Span{during(0, 25), during(34, 100)}, during(20, 40), true},
		"a gap of more":                       {[]clock.Span{during(0, 25), during(36, 100)}, during(20, 40), false},
		"a short piece of a long gap":         {[]clock.Span{during(0, 25), during(80, 100)}, during(20, 30), false},
		"lost for good, just before the end":  {[]clock.Span{during(0, 35)}, during(20, 40), false},
		"it came up a look after it was due":  {[]clock.Span{during(8, 100)}, during(0, 40), true},
		"it came up later":                    {[]clock.Span{during(12, 100)}, during(5, 40), false},
		"to the end, and the last look too":   {[]clock.Span{during(0, 94)}, during(20, 100), true},
		"to the end, long after the last one": {[]clock.Span{during(0, 80)}, during(20, 100), false},
		"a deadline after the last look":      {[]clock.Span{during(0, 94)}, during(20, 98), false},
		"beyond what was asked about":         {smallWhole, during(20, 101), false},
	} {
		w := watch{spans: c.spans, slack: 10 * time.Second, begin: during(0, 100).Start, end: during(0, 100).End}
		if got := w.all(c.need); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
