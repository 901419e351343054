package policy_test

import (
	"strings"
	"testing"

	"gameday/policy"
)

// TestAnywhere asks about a fault of which nobody knows what it touches: whatever a rule would have to know is a violation.
func TestAnywhere(t *testing.T) {
	for _, row := range []struct {
		name   string
		policy policy.Policy
		want   string
	}{
		{"no rule", policy.Policy{}, ""},
		{"only rules that can be told", policy.Policy{Kinds: policy.Kinds{Allow: []string{"chaos_mesh"}}, Approval: policy.Approval{Required: true}}, ""},
		{"a denied executable", policy.Policy{Deny: policy.Deny{Exe: []string{"sshd"}}}, "deny: a chaos_mesh says by itself where it lands"},
		{"a denied node", policy.Policy{Deny: policy.Deny{Nodes: []string{"db-*"}}}, "deny: a chaos_mesh says by itself where it lands"},
		{"a denied network", policy.Policy{Deny: policy.Deny{Networks: strict().Deny.Networks}}, "deny: a chaos_mesh says by itself where it lands"},
		{"a bound on places", policy.Policy{AtMost: policy.AtMost{Places: 3}}, "at_most: a chaos_mesh says by itself where it lands"},
		{"a bound on the share", policy.Policy{AtMost: policy.AtMost{Percent: 34}}, "at_most: a chaos_mesh says by itself where it lands"},
		{"a label to opt in by", policy.Policy{RequireLabels: map[string]string{"chaos": "yes"}}, "require_labels: the target has no label chaos"},
	} {
		for _, unresolved := range []bool{false, true} {
			row.policy.Format = policy.Format
			got := row.policy.Check(policy.Request{Kind: "chaos_mesh", Fault: "storm", Anywhere: true, Unresolved: unresolved,
				Claims: policy.Claims{ApprovedBy: "ann"}}, noon)
			var texts []string
			for _, v := range got {
				texts = append(texts, v.Rule+": "+v.Text)
			}
			all := strings.Join(texts, "\n")
			if row.want == "" && all != "" || !strings.HasPrefix(all, row.want) || len(got) > 1 {
				t.Errorf("%s (unresolved %v): %q, want one: %q", row.name, unresolved, all, row.want)
			}
		}
	}
}
