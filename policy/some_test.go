package policy_test

import (
	"strings"
	"testing"

	"gameday/policy"
)

// TestSome weighs places of which only the number is known, each as if it were the worst.
func TestSome(t *testing.T) {
	four := []string{"a", "b", "c", "d"}
	one := policy.Side{Found: four, Some: 1}
	for _, row := range []struct {
		name     string
		most     policy.AtMost
		sides    []policy.Side
		standing []policy.Standing
		want     string
	}{
		{"one of four", policy.AtMost{Places: 1, Percent: 25}, []policy.Side{one}, nil, ""},
		{"two of four", policy.AtMost{Places: 1}, []policy.Side{{Found: four, Some: 2}}, nil, "touches 2 places and may touch 1"},
		{"two of four, as a share", policy.AtMost{Percent: 34}, []policy.Side{{Found: four, Some: 2}}, nil, "2 of the 4 places that its selector finds (50 %)"},
		{"two selectors of the same", policy.AtMost{Percent: 34}, []policy.Side{one, one}, nil, "2 of the 4 places that its selector finds (50 %)"},
		{"two selectors of different places", policy.AtMost{Percent: 25}, []policy.Side{one, {Found: []string{"x", "y", "z", "w"}, Some: 1}}, nil, ""},
		{"beside another", policy.AtMost{Places: 1}, []policy.Side{one}, []policy.Standing{{Fault: "cut", Sides: []policy.Side{{Touched: []string{"a"}, Found: four}}}},
			"touches 1 places beside the 1 of cut"},
		{"another, of which nobody knows which", policy.AtMost{Percent: 34}, []policy.Side{{Touched: []string{"a"}, Found: four}},
			[]policy.Standing{{Fault: "storm", Sides: []policy.Side{one}}}, "together with storm it touches 2 of the 4"},
		{"another, counted", policy.AtMost{Places: 1}, []policy.Side{{Touched: []string{"a"}, Found: four}},
			[]policy.Standing{{Fault: "storm", Sides: []policy.Side{one}}}, "beside the 1 of storm"},
		{"another, elsewhere", policy.AtMost{Percent: 34}, []policy.Side{{Touched: []string{"a"}, Found: four}},
			[]policy.Standing{{Fault: "storm", Sides: []policy.Side{{Found: []string{"x"}, Some: 1}}}}, ""},
		{"more than there are", policy.AtMost{Percent: 100}, []policy.Side{{Found: four, Some: 4}, {Found: four, Some: 4}}, nil, ""},
	} {
		q := policy.Request{Kind: "chaos_mesh", Fault: "storm", Claims: policy.Claims{Sides: row.sides, Standing: row.standing}}
		for _, s := range row.sides {
			q.Selected, q.Found = q.Selected+len(s.Touched)+s.Some, q.Found+len(s.Found)
		}
		var texts []string
		for _, v := range (&policy.Policy{Format: policy.Format, AtMost: row.most}).Check(q, noon) {
			texts = append(texts, v.Text)
		}
		if all := strings.Join(texts, "\n"); !strings.Contains(all, row.want) || row.want == "" && all != "" {
			t.Errorf("%s: %q, want %q", row.name, all, row.want)
		}
	}
}

// TestLabelsOfSome lets nobody opt in for what a fault hits besides, of which nobody knows what it is.
func TestLabelsOfSome(t *testing.T) {
	p := &policy.Policy{Format: policy.Format, RequireLabels: map[string]string{"chaos": "allowed"}}
	q := policy.Request{Kind: "chaos_mesh", Fault: "storm", Claims: policy.Claims{Labels: map[string]string{"chaos": "allowed"}}}
	if got := p.Check(q, noon); len(got) != 0 {
		t.Errorf("all that it hits is known, and opted in: %v", got)
	}
	q.Anywhere, q.Why = true, "spec.remoteCluster leads into another cluster"
	got := p.Check(q, noon)
	if len(got) != 1 || got[0].Rule != policy.RuleLabels || !strings.Contains(got[0].Text, "chaos") || !strings.Contains(got[0].Text, q.Why) {
		t.Errorf("not all that it hits is known: %v", got)
	}
	q.Labels = nil
	if got := p.Check(q, noon); len(got) != 1 {
		t.Errorf("one label is missed once: %v", got)
	}
}
