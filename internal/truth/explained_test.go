package truth

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"gameday/clock"
	"gameday/report"
)

// TestEveryItemIsExplained holds the items of many worlds to what `gameday explain` promises of them: what was expected, what was
// seen and from where, and of what is not met why not and what to do.
func TestEveryItemIsExplained(t *testing.T) {
	dir := t.TempDir()
	lacks := map[string]int{}
	for seed := uint64(1); seed <= 600; seed++ {
		if err := New(seed).Write(dir); err != nil {
			t.Fatal(err)
		}
		rec, err := report.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		card := report.Score(rec)
		for _, it := range card.Items() {
			var text strings.Builder
			if err := report.Explain(&text, card, it.ID, report.TextOptions{Raw: true}); err != nil {
				t.Fatal(err)
			}
			lack := func(what string, is bool) {
				if is {
					lacks[fmt.Sprintf("%s has no %s: %s, why %.80q", promise(it.ID), what, it.Outcome, it.Why)]++
				}
			}
			lack("title", it.Title == "")
			lack("expectation", it.Expected == "")
			lack("measure", it.Measured == "")
			lack("limit", it.Limit == "")
			lack("reason", it.Outcome != clock.Met && it.Why == "")
			lack("next step", it.Outcome != clock.Met && it.Override == nil && !strings.Contains(text.String(), "\n Hint "))
			lack("evidence", len(it.Evidence) == 0)
			lines := 0
			live := false
			for _, e := range it.Evidence {
				lines += len(e.Lines)
				live = live || strings.HasPrefix(e.Text, "put together from what was seen live") // there is no line of what was not seen
			}
			lack("line of the record", len(it.Evidence) > 0 && lines == 0 && !live || lines > 0 && !strings.Contains(text.String(), `{"seq":`))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(lacks)) {
		t.Errorf("%s (%d times)", k, lacks[k])
	}
}
