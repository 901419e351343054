package policy_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/policy"
)

// noon is a Wednesday.
var noon = time.Date(2026, 9, 16, 12, 0, 0, 0, time.UTC)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// strict has every rule, and lenient's request passes all of them.
func strict() *policy.Policy {
	return &policy.Policy{
		Format: policy.Format, File: "policy.hcl", Digest: strings.Repeat("3f2a9c0d", 8),
		Kinds:         policy.Kinds{Allow: []string{"network_*", "process_kill", "disk_fill"}, Deny: []string{"network_loss"}},
		RequireLabels: map[string]string{"chaos": "allowed"},
		Deny: policy.Deny{Exe: []string{"^/usr/sbin/sshd$"}, Command: []string{"postgres"}, Units: []string{"systemd-*"},
			Networks: []netip.Prefix{prefix("10.9.0.0/16")}, Paths: []string{"/var/lib/db"}, Nodes: []string{"db-*"}},
		AtMost:      policy.AtMost{Places: 3, Percent: 34},
		MaxDuration: policy.MaxDuration{Fault: 10 * time.Minute, Run: time.Hour},
		Hours: []policy.Hours{{Days: []time.Weekday{time.Monday, time.Tuesday, time.Wednesday}, From: 9 * time.Hour, To: 17 * time.Hour,
			Zone: "Europe/Berlin"}},
		Freezes: []policy.Freeze{{Name: "peak", From: time.Date(2026, 12, 20, 0, 0, 0, 0, time.UTC),
			To: time.Date(2027, 1, 3, 0, 0, 0, 0, time.UTC)}},
		Approval: policy.Approval{Required: true, Approvers: []string{"ann", "bob"}},
	}
}

func allowed() policy.Request {
	return policy.Request{
		Kind: "network_partition", Fault: "cut", Place: "web/1",
		Processes: []policy.Process{{Exe: "/usr/bin/web", Command: "web --port 80", Unit: "web.service"}},
		Networks:  []netip.Prefix{prefix("10.1.2.3/32"), prefix("192.0.2.0/24")},
		Paths:     []string{"/srv/data"}, Nodes: []string{"web-1"},
		Claims: policy.Claims{Labels: map[string]string{"chaos": "allowed", "team": "shop"}, Selected: 1, Found: 3,
			Duration: time.Minute, Run: 10 * time.Minute, ApprovedBy: "ann"},
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*policy.Request)
		now    time.Time
		want   string // "rule: part of the text"; "" for none
	}{
		{name: "all fine"},
		{"a kind that is denied although a pattern allows it", func(r *policy.Request) { r.Kind = "network_loss" }, noon, "kinds: the kind network_loss is denied"},
		{"a kind that nobody allowed", func(r *policy.Request) { r.Kind = "node_restart" }, noon, "kinds: not among the allowed ones: network_*, process_kill"},
		{"no label", func(r *policy.Request) { r.Labels = nil }, noon, `require_labels: no label chaos = "allowed"`},
		{"another label", func(r *policy.Request) { r.Labels = map[string]string{"chaos": "no"} }, noon, `require_labels: the label chaos = "no", and needs "allowed"`},
		{"a denied executable", func(r *policy.Request) { r.Processes[0].Exe = "/usr/sbin/sshd" }, noon, "deny: executable \"/usr/sbin/sshd\""},
		{"one that only the second source knows", func(r *policy.Request) {
			r.Processes = append(r.Processes, policy.Process{Exe: "/usr/sbin/sshd", Command: "sshd"})
		}, noon, "deny: executable \"/usr/sbin/sshd\""},
		{"a denied command", func(r *policy.Request) { r.Processes[0].Command = "postgres: writer" }, noon, "deny: command line"},
		{"an executable that cannot be read", func(r *policy.Request) { r.Processes[0].Exe = "" }, noon, "deny: cannot be read"},
		{"the same before it is resolved", func(r *policy.Request) { r.Processes[0].Exe = ""; r.Unresolved = true }, noon, ""},
		{"a denied unit", func(r *policy.Request) { r.Processes[0].Unit = "systemd-journald.service" }, noon, `deny: unit systemd-journald.service by "systemd-*"`},
		{"a network inside of a denied one", func(r *policy.Request) { r.Networks = append(r.Networks, prefix("10.9.8.7/32")) }, noon, "deny: 10.9.0.0/16 may not be cut"},
		{"a network around a denied one", func(r *policy.Request) { r.Networks = append(r.Networks, prefix("0.0.0.0/0")) }, noon, "deny: reaches 0.0.0.0/0"},
		{"a path below a denied one", func(r *policy.Request) { r.Paths = []string{"/var/lib/db/wal"} }, noon, "deny: /var/lib/db may not be filled"},
		{"a path above a denied one", func(r *policy.Request) { r.Paths = []string{"/var"} }, noon, "deny: the fault names /var"},
		{"a path that only begins alike", func(r *policy.Request) { r.Paths = []string{"/var/lib/dbx"} }, noon, ""},
		{"a way around by dots", func(r *policy.Request) { r.Paths = []string{"/srv/../var/lib/db"} }, noon, "deny: /var/lib/db"},
		{"a denied node", func(r *policy.Request) { r.Nodes = []string{"web-1", "db-3"} }, noon, "deny: the node db-3"},
		{"too many places", func(r *policy.Request) { r.Selected, r.Found = 4, 100 }, noon, "at_most: touches 4 places and may touch 3"},
		{"too large a share", func(r *policy.Request) { r.Selected, r.Found = 2, 5 }, noon, "at_most: 2 of the 5 places that its selector finds (40 %) and may touch 34 %"},
		{"the very share", func(r *policy.Request) { r.Selected, r.Found = 1, 3 }, noon, ""},
		{"an unknown share", func(r *policy.Request) { r.Found = 0 }, noon, "at_most: nobody says how many"},
		{"an unknown share in a plan", func(r *policy.Request) { r.Found, r.Unresolved = 0, true }, noon, ""},
		{"too long a fault", func(r *policy.Request) { r.Duration = 11 * time.Minute }, noon, "max_duration: stands for 11m0s and may stand for 10m0s"},
		{"too long a run", func(r *policy.Request) { r.Run = 2 * time.Hour }, noon, "max_duration: the run takes 2h0m0s"},
		{"too long a run as a whole", func(r *policy.Request) { r.Kind = ""; r.Duration = 2 * time.Hour }, noon, "max_duration: the run takes 2h0m0s"},
		{"a run as a whole", func(r *policy.Request) {
			*r = policy.Request{Claims: policy.Claims{ApprovedBy: "bob", Duration: time.Hour}}
		}, noon, ""},
		{"nobody approved", func(r *policy.Request) { r.ApprovedBy = "" }, noon, "approval: needs --approved-by with one of: ann, bob"},
		{"somebody who may not", func(r *policy.Request) { r.ApprovedBy = "eve" }, noon, `approval: "eve" may not approve`},
		{"before the hours", nil, time.Date(2026, 9, 16, 6, 59, 0, 0, time.UTC), "hours: Wed 2026-09-16 08:59 CEST is outside of the hours: Mon Tue Wed 09:00–17:00 Europe/Berlin"},
		{"as they begin", nil, time.Date(2026, 9, 16, 7, 0, 0, 0, time.UTC), ""},
		{"standing past their end", nil, time.Date(2026, 9, 16, 14, 59, 30, 0, time.UTC), "hours: Wed 2026-09-16 17:00 CEST is outside"},
		{"on a Thursday", nil, noon.AddDate(0, 0, 1), "hours: Thu"},
		{"in the freeze", nil, time.Date(2026, 12, 21, 10, 0, 0, 0, time.UTC), `freeze: in the freeze "peak"`},
		{"standing into the freeze", func(r *policy.Request) { r.Duration = 0 }, time.Date(2026, 12, 16, 10, 0, 0, 0, time.UTC), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, now := allowed(), tc.now
			if tc.change != nil {
				tc.change(&r)
			}
			if now.IsZero() {
				now = noon
			}
			got := strict().Check(r, now)
			if tc.want == "" {
				if len(got) > 0 {
					t.Errorf("violated: %v", got)
				}
				return
			}
			rule, text, _ := strings.Cut(tc.want, ": ")
			if len(got) != 1 || got[0].Rule != rule {
				t.Fatalf("violations %v, want one of %s", got, rule)
			}
			for _, part := range strings.Split(text, " … ") {
				if !containsWords(got[0].Text, part) {
					t.Errorf("it says %q, want %q in it", got[0].Text, part)
				}
			}
			if got[0].Policy != "policy.hcl" || (r.Kind != "" && got[0].Fault != "cut") {
				t.Errorf("violation %+v", got[0])
			}
		})
	}
}

// containsWords reports whether all words of want are in text, in their order.
func containsWords(text, want string) bool {
	for _, w := range strings.Fields(want) {
		i := strings.Index(text, w)
		if i < 0 {
			return false
		}
		text = text[i+len(w):]
	}
	return true
}

// TestNothingForbidden checks that an empty policy allows everything.
func TestNothingForbidden(t *testing.T) {
	p := &policy.Policy{Format: policy.Format}
	if got := p.Check(policy.Request{Kind: "node_restart", Networks: []netip.Prefix{prefix("0.0.0.0/0")}}, noon); len(got) > 0 {
		t.Errorf("violations %v", got)
	}
}

// TestRoundTrip checks that a compiled policy forbids the same after its way to a guard.
func TestRoundTrip(t *testing.T) {
	raw, err := json.Marshal(strict())
	if err != nil {
		t.Fatal(err)
	}
	back, err := policy.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strict(), back, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("the way through JSON changes it:\n%s", diff)
	}
}

// TestParseRefuses checks that a guard takes no policy that it could not enforce.
func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"not JSON":          {`{`, "unexpected"},
		"two values":        {`{"format":1}{}`, "something follows"},
		"another format":    {`{"format":2}`, "format 2"},
		"no format":         {`{}`, "format 0"},
		"an unknown rule":   {`{"format":1,"deny":{"users":["root"]}}`, "unknown field"},
		"a bad pattern":     {`{"format":1,"kinds":{"deny":["[a"]}}`, "cannot be matched"},
		"an empty pattern":  {`{"format":1,"kinds":{"allow":[""]}}`, "cannot be matched"},
		"a bad expression":  {`{"format":1,"deny":{"exe":["("]}}`, "missing closing"},
		"a bad network":     {`{"format":1,"deny":{"networks":["10.0.0.0"]}}`, "no '/'"},
		"an empty network":  {`{"format":1,"deny":{"networks":[""]}}`, "not a CIDR"},
		"a relative path":   {`{"format":1,"deny":{"paths":["var"]}}`, "not absolute"},
		"a share above all": {`{"format":1,"at_most":{"percent":101}}`, "out of range"},
		"an unknown zone":   {`{"format":1,"hours":[{"from":0,"to":3600000000000,"time_zone":"Mars/Base"}]}`, "Mars"},
		"empty hours":       {`{"format":1,"hours":[{"from":0,"to":0,"time_zone":"UTC"}]}`, "not a span"},
		"a reversed freeze": {`{"format":1,"freezes":[{"name":"x","from":"2026-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z"}]}`, "before it begins"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := policy.Parse([]byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q in it", err, tc.want)
			}
		})
	}
}

// FuzzParse checks that whatever parses can be asked without a panic, and means the same when parsed again.
func FuzzParse(f *testing.F) {
	raw, err := json.Marshal(strict())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"format":1,"hours":[{"days":[6],"from":82800000000000,"to":3600000000000,"time_zone":"America/New_York"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse(data)
		if err != nil {
			return
		}
		got := p.Check(allowed(), noon)
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatalf("what was parsed cannot be written: %v", err)
		}
		again, err := policy.Parse(raw)
		if err != nil {
			t.Fatalf("what was written cannot be parsed: %v\n%s", err, raw)
		}
		if diff := cmp.Diff(got, again.Check(allowed(), noon)); diff != "" {
			t.Errorf("it forbids something else after JSON:\n%s", diff)
		}
	})
}
