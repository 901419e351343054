package killmatrix

import (
	"strings"
	"testing"
	"time"

	"gameday/faults"
)

// TestPage renders one result of each sort.
func TestPage(t *testing.T) {
	cell := func(p faults.Checkpoint, v Victim) Cell { return Cell{Kind: "network_delay", Point: p, Victim: v} }
	page := Page([]Result{
		{Cell: cell(faults.BeforeEntry, Guard), Outcome: Untouched},
		{Cell: cell(faults.AfterEntry, Guard), Outcome: Untouched, Entry: true},
		{Cell: cell(faults.MidInject, Guard), Outcome: Atomic},
		{Cell: cell(faults.Stands, Conductor), Outcome: ByGuard, Clean: 20 * time.Millisecond},
		{Cell: cell(faults.Stands, Guard), Outcome: ByKernel, Clean: 1200 * time.Millisecond, Entry: true},
		{Cell: cell(faults.Stands, Both), Outcome: ByRevert, Entry: true, Machine: true},
		{Cell: cell(faults.MidRevert, Guard), Outcome: NotRun, Why: "the kernel has no netem"},
		{Cell: cell(faults.BeforeClose, Reboot), Outcome: Gone, Entry: true, Machine: true},
	}, "6.1.0", true)
	for _, want := range []string{
		"## network_delay\n\n| point | conductor | guard | both | reboot |\n| --- | --- | --- | --- | --- |\n",
		"| `before_entry` |  | untouched |  |  |\n",
		"| `after_entry` |  | untouched ¹ |  |  |\n",
		"| `standing` | guard, < 100 ms | lease, < lease + 1 s ¹ | revert ² |  |\n",
		"| `before_close` |  |  |  | gone ¹ ² |\n",
		"Not run: the kernel has no netem. Cells with ² were", "Linux 6.1.0", "from 8 cells", "older than the last change",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}
}

// TestDiagonal makes sure that the quick part meets every kind, every point and every victim.
func TestDiagonal(t *testing.T) {
	for kinds := 1; kinds <= 30; kinds++ {
		var names []string
		for i := range kinds {
			names = append(names, string(rune('a'+i)))
		}
		seen := map[any]int{}
		for _, c := range Diagonal(names, Victims(), 6) {
			seen[c.Kind]++
			seen[c.Point]++
			seen[c.Victim]++
			seen[[2]string{string(c.Point), string(c.Victim)}]++
		}
		for _, n := range names {
			if seen[n] == 0 {
				t.Errorf("%d kinds: %s is not met", kinds, n)
			}
		}
		for _, p := range faults.Checkpoints() {
			if seen[p] == 0 {
				t.Errorf("%d kinds: %s is not met", kinds, p)
			}
		}
		for _, v := range Victims() {
			if kinds > 2 && seen[v] == 0 {
				t.Errorf("%d kinds: %s is not met", kinds, v)
			}
		}
	}
}

// TestBad holds the words to what they do to a test.
func TestBad(t *testing.T) {
	for o, bad := range map[Outcome]bool{"": true, Leaks: true, Late: true, Broken: true, ByGuard: false, ByKernel: false,
		ByItself: false, ByRevert: false, ByNature: false, Atomic: false, Untouched: false, Gone: false, Refused: false,
		NotRun: false} {
		if o.Bad() != bad {
			t.Errorf("%q: bad %v", o, o.Bad())
		}
	}
}
