package looks

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/clock"
)

var zero = time.Unix(1_700_000_000, 0)

func second(n int) time.Time { return zero.Add(time.Duration(n) * time.Second) }

// TestAccount books looks once a second: '+' good, '-' bad, ' ' none.
func TestAccount(t *testing.T) {
	for _, c := range []struct {
		looks string
		share float64 // of the whole, from the first to the last second
		why   string
	}{
		{"+++++++++++", 1, ""},
		{"+++++-+++++", 1, ""}, // two polls apart is near enough
		{"+++++--++++", 0.7, "04 to 22:13:27: refused"},
		{"+++++     +", 0.4, "otherwise"},
		{"----+++++++", 0.6, "refused"},
		{"++++++-----", 0.5, "refused"},
		{"-----------", 0, "refused"},
		{"", 0, "otherwise"},
	} {
		a := New(time.Second)
		for i, look := range c.looks {
			switch look {
			case '+':
				a.Good(second(i))
			case '-':
				a.Bad(second(i), "refused")
			}
		}
		need := clock.Span{Start: zero, End: second(10)}
		if got := clock.Share(a.Spans(), need); got != c.share {
			t.Errorf("%q: %v, want %v", c.looks, got, c.share)
		}
		why := strings.Join(Explain(a.Spans(), need, a.Faults(), 2*time.Second, "otherwise"), "\n")
		if (c.why == "") != (why == "") || !strings.Contains(why, strings.TrimPrefix(c.why, "04 to 22:13:27: ")) {
			t.Errorf("%q: %q, want %q", c.looks, why, c.why)
		}
	}
}

// TestExplainIsBounded does not fill a report with gaps.
func TestExplainIsBounded(t *testing.T) {
	var covered []clock.Span
	for i := range 100 {
		covered = append(covered, clock.Span{Start: second(10 * i), End: second(10*i + 5)})
	}
	why := Explain(covered, clock.Span{Start: zero, End: second(1000)}, nil, 0, "x")
	if len(why) != mostReasons+1 || why[mostReasons] != "and 88 more gaps" {
		t.Errorf("%d lines, the last %q", len(why), why[len(why)-1])
	}
}

// TestGaps checks that spans and their gaps make up the whole, and that what is cut out is gone.
func TestGaps(t *testing.T) {
	spans := rapid.Custom(func(t *rapid.T) []clock.Span {
		var out []clock.Span
		for range rapid.IntRange(0, 6).Draw(t, "n") {
			start := rapid.IntRange(-5, 30).Draw(t, "start")
			out = append(out, clock.Span{Start: second(start), End: second(start + rapid.IntRange(0, 10).Draw(t, "length"))})
		}
		return out
	})
	rapid.Check(t, func(t *rapid.T) {
		s, cut := spans.Draw(t, "spans"), spans.Draw(t, "cut")
		need := clock.Span{Start: zero, End: second(rapid.IntRange(1, 30).Draw(t, "need"))}
		gaps := Gaps(s, need)
		if got := clock.Share(append(gaps, Clip(s, need)...), need); got != 1 {
			t.Fatalf("spans and gaps make up %v", got)
		}
		for _, g := range gaps {
			if clock.Share(s, g) != 0 {
				t.Fatalf("gap %v is covered", g)
			}
		}
		left := Without(s, cut)
		for _, l := range left {
			if clock.Share(cut, l) != 0 && l.Length() > 0 {
				t.Fatalf("%v should be cut out", l)
			}
		}
	})
}
