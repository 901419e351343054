package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/report"
)

// testTwoAtATime runs game days of two people, and two of one person, in one namespace at the same time.
func testTwoAtATime(t *testing.T, r *wholeRig) {
	r.shop(t, "both", 2)
	r.replicas(t, "both", "search", 1)
	r.awaitPods(t, "both", 2)
	r.awaitReplicas(t, "both", "search", 1)
	// Ana's cut is to stand while bob is refused, and until carl's game day, which takes half a minute, is over.
	ana, bob := r.person(t, r.cutDayOf("both", "cart", "2s", "69s", "60s", "12s")), r.person(t, r.cutDayOf("both", "cart", "2s", "6s", "3s", "2s"))
	first := ana.start(t, "rec", "day.hcl")
	atEvent(report.Injected, `"cut"`)(first, "")
	first.until(time.Minute, "the cut stands on both pods", func() bool { return len(events[report.Injection](first, report.Injected)) == 2 })
	run := runIDOf(first)
	standing := names(r.ours(t, "both"))
	if len(standing) != 2 {
		t.Fatalf("there are %v", standing)
	}
	t.Run("the same pods", func(t *testing.T) {
		out := bob.want(t, 3, []string{"other game days", "run " + run, "stands on both/cart-", "gameday revert --kubernetes"}, "run", "--record", "same", "day.hcl")
		t.Logf("bob:\n%s", out)
		if code, out := ana.gameday(t, "run", "--record", "again", "day.hcl"); code != 3 || !strings.Contains(out, "run "+run) {
			t.Errorf("the same person's second ends with %d:\n%s", code, out)
		}
	})
	t.Run("other pods", func(t *testing.T) {
		carl := r.person(t, r.cutDayOf("both", "search", "2s", "12s", "3s", "12s"))
		w := carl.start(t, "rec", "day.hcl")
		code, out := w.wait(time.Minute)
		t.Logf("carl:\n%s", out)
		if code != 0 {
			t.Errorf("it ends with %d", code)
		}
		saysAll(t, "it", out, "run "+run+" has 2 objects in the cluster", "1 fault injected, 1 gone; nothing left on any target")
		for _, in := range events[report.Injection](w, report.Injected) {
			if in.Effect == nil || !in.Effect.Proven || !strings.Contains(in.Effect.Summary, "both/search") || strings.Contains(in.Effect.Summary, "cart") {
				t.Errorf("its effect is %+v", in.Effect)
			}
		}
	})
	if now := names(r.ours(t, "both")); !slices.Equal(now, standing) {
		t.Errorf("of %v there are %v after two others", standing, now)
	}
	code, out := first.wait(2 * time.Minute)
	if code != 0 || !strings.Contains(out, "1 fault injected, 1 gone; nothing left on any target") {
		t.Errorf("the first ends with %d:\n%s", code, out)
	}
	t.Logf("ana:\n%s", out)
	ana.nothingLeft(t, "both", 2)
	t.Run("the same moment", func(t *testing.T) { testSameMoment(t, r) })
}

// names are those of objects that are to stay.
func names(list []wholeObject) []string {
	var out []string
	for _, o := range list {
		if o.Metadata.DeletionTimestamp == "" {
			out = append(out, o.Metadata.Name)
		}
	}
	slices.Sort(out)
	return out
}

// testSameMoment starts two game days together, each of which sees nothing of the other beforehand: on no pod do both faults stand.
func testSameMoment(t *testing.T, r *wholeRig) {
	var all []*wholeRun
	for range 2 { // each cut stands for longer than one may begin after the other, so that it cannot come once the other is over
		all = append(all, r.person(t, r.cutDayOf("both", "cart", "4s", "24s", "14s", "12s")).start(t, "rec", "day.hcl"))
	}
	hit := map[string]int{}
	for _, w := range all {
		code, out := w.wait(2 * time.Minute)
		stood := events[report.Injection](w, report.Injected)
		for _, in := range stood {
			hit[in.Place]++
		}
		refused := events[report.Injection](w, report.InjectFailed)
		t.Logf("%d stood and %d were refused; it ends with %d:\n%s", len(stood), len(refused), code, out)
		if len(stood)+len(refused) != 2 || len(stood) == 0 && code != 3 || len(refused) == 0 && code != 0 || code == 5 {
			t.Errorf("it ends with %d", code)
		}
		for _, in := range refused {
			if !strings.Contains(in.Error, "another game day") {
				t.Errorf("%s was refused for %s", in.Place, in.Error)
			}
		}
	}
	for _, w := range all {
		w.nothingLeft(t, "both", 2)
	}
	for place, n := range hit {
		if n > 1 {
			t.Errorf("both stood on %s", place)
		}
	}
}
