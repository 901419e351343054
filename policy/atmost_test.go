package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gameday/policy"
)

func side(touched, found string) policy.Side {
	return policy.Side{Touched: strings.Fields(touched), Found: strings.Fields(found)}
}

// TestAtMostTogether checks that all sides of a fault count, and all faults that stand at the same time.
func TestAtMostTogether(t *testing.T) {
	kill := func(touched, found string) policy.Standing {
		return policy.Standing{Fault: "kill", Ends: true, Sides: []policy.Side{side(touched, found)}}
	}
	cut := func(touched, found string) policy.Standing {
		return policy.Standing{Fault: "cut", Sides: []policy.Side{side(touched, found)}}
	}
	for _, tc := range []struct {
		name     string
		sides    []policy.Side
		standing []policy.Standing
		atMost   policy.AtMost
		want     string // of the text; "" for none
	}{
		{"one", []policy.Side{side("a", "a b")}, nil, policy.AtMost{Places: 1, Percent: 50}, ""},
		{"both sides count", []policy.Side{side("a", "a"), side("b c", "b c d e")}, nil, policy.AtMost{Places: 2}, "touches 3 places and may touch 2"},
		{"the second side has a share", []policy.Side{side("a", "a b"), side("c d", "c d e")}, nil, policy.AtMost{Percent: 50}, "2 of the 3 places"},
		{"so has the first", []policy.Side{side("c d", "c d e"), side("a", "a b")}, nil, policy.AtMost{Percent: 50}, "2 of the 3 places"},
		{"each side has its share", []policy.Side{side("a", "a b"), side("c", "c d")}, nil, policy.AtMost{Percent: 50}, ""},
		{"sides of one selector", []policy.Side{side("a", "a b c"), side("b", "a b c")}, nil, policy.AtMost{Percent: 50}, "2 of the 3 places"},
		{"another one stands", []policy.Side{side("a", "a b")}, []policy.Standing{cut("b", "a b")}, policy.AtMost{Places: 1}, "1 places beside the 1 of cut"},
		{"and has a share of the same", []policy.Side{side("a", "a b")}, []policy.Standing{cut("b", "b c d")}, policy.AtMost{Percent: 50}, "together with cut it touches 2 of the 2"},
		{"at the same place", []policy.Side{side("a", "a b")}, []policy.Standing{cut("a", "a b")}, policy.AtMost{Places: 1, Percent: 50}, ""},
		{"on something else", []policy.Side{side("a", "a b")}, []policy.Standing{cut("x", "x y")}, policy.AtMost{Percent: 50}, ""},
		{"one was killed, and is not found", []policy.Side{side("b", "b c")}, []policy.Standing{kill("a", "a b c")}, policy.AtMost{Percent: 50}, "together with kill it touches 2 of the 3"},
		{"and is few", []policy.Side{side("b", "b c d")}, []policy.Standing{kill("a", "a b c d")}, policy.AtMost{Percent: 50}, ""},
		{"one of others was killed", []policy.Side{side("b", "b c")}, []policy.Standing{kill("a", "a")}, policy.AtMost{Percent: 50}, ""},
		{"three kills", []policy.Side{side("c", "c")}, []policy.Standing{kill("a", "a b c"), kill("b", "b c")}, policy.AtMost{Places: 2}, "beside the 2 of kill"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := policy.Request{Kind: "process_kill", Fault: "f", Claims: policy.Claims{Sides: tc.sides, Standing: tc.standing}}
			for _, s := range tc.sides {
				r.Selected += len(s.Touched)
				r.Found += len(s.Found)
			}
			got := (&policy.Policy{Format: policy.Format, AtMost: tc.atMost}).Check(r, noon)
			if tc.want == "" {
				if len(got) > 0 {
					t.Errorf("violated: %v", got)
				}
				return
			}
			if len(got) != 1 || got[0].Rule != policy.RuleAtMost || !strings.Contains(got[0].Text, tc.want) {
				t.Errorf("violations %v, want %q", got, tc.want)
			}
		})
	}
}

// TestAtMostGrows checks that nothing which stands besides, and no further place, ever makes a forbidden fault allowed.
func TestAtMostGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		places := rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 6, rapid.ID)
		draw := func(label string) policy.Side {
			var s policy.Side
			for _, n := range places.Draw(t, label) {
				s.Found = append(s.Found, fmt.Sprint(n))
			}
			s.Touched = s.Found[:rapid.IntRange(0, len(s.Found)).Draw(t, label+" touched")]
			return s
		}
		p := &policy.Policy{Format: policy.Format, AtMost: policy.AtMost{Places: rapid.IntRange(1, 9).Draw(t, "limit")}}
		r := policy.Request{Kind: "k", Claims: policy.Claims{Sides: []policy.Side{draw("own")}}}
		for i := range rapid.IntRange(0, 3).Draw(t, "others") {
			r.Standing = append(r.Standing, policy.Standing{Fault: fmt.Sprint(i), Ends: rapid.Bool().Draw(t, "ends"), Sides: []policy.Side{draw("other")}})
		}
		union := map[string]bool{}
		for _, place := range r.Sides[0].Touched {
			union[place] = true
		}
		for _, st := range r.Standing {
			for _, place := range st.Sides[0].Touched {
				union[place] = true
			}
		}
		if got, want := len(p.Check(r, noon)) > 0, len(union) > p.AtMost.Places; got != want {
			t.Errorf("forbidden %v, and %d places are touched of %d", got, len(union), p.AtMost.Places)
		}
	})
}

// TestDeniedHost checks that the name of a machine is denied in whatever way it is written.
func TestDeniedHost(t *testing.T) {
	p := &policy.Policy{Format: policy.Format, Deny: policy.Deny{Nodes: []string{"db-*", "10.0.0.7", "Vault"}}}
	for name, want := range map[string]bool{"db-1": true, "DB-1": true, "db-1.example.org": true, "db-1.": true, "vault.example.org.": true,
		"10.0.0.7": true, "10.0.0.70": false, "web-1": false, "web.db-1": false, "": false} {
		if got := len(p.Check(policy.Request{Kind: "k", Nodes: []string{name}}, noon)) > 0; got != want {
			t.Errorf("%q is denied: %v", name, got)
		}
	}
}
