package scenarios

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/faults"
	"gameday/policy"
)

// policyComplaints loads a policy and returns what is said of it.
func policyComplaints(t *testing.T, path string) (*policy.Policy, string) {
	t.Helper()
	// Not those of this build, which what is said would change with.
	p, f := LoadPolicy(path, []faults.Kind{{Name: "network_partition"}, {Name: "node_restart"}, {Name: "process_kill"}})
	var b bytes.Buffer
	if err := WriteText(&b, []*File{f}, 100, false); err != nil {
		t.Fatal(err)
	}
	if (p == nil) != f.Diags.HasErrors() {
		t.Fatalf("a policy %v with the complaints %q", p, b.String())
	}
	return p, b.String()
}

// TestBadPolicies loads every policy that must not load, many times over, and compares what is said with the golden file.
func TestBadPolicies(t *testing.T) {
	files, err := filepath.Glob("testdata/policy/bad/*.hcl")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d bad policies: %v", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			if err := os.Chmod(path, 0o644); err != nil { // whatever the umask was
				t.Fatal(err)
			}
			p, got := policyComplaints(t, path)
			if p != nil {
				t.Fatal("it loads")
			}
			for range 20 {
				if _, again := policyComplaints(t, path); again != got {
					t.Fatalf("two loads differ:\n%s", cmp.Diff(got, again))
				}
			}
			golden := strings.TrimSuffix(path, ".hcl") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("what is said changed (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPolicy reads back a policy that has everything, value by value.
func TestPolicy(t *testing.T) {
	path := "testdata/policy/good/everything.hcl"
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	got, said := policyComplaints(t, path)
	if said != "" {
		t.Fatal(said)
	}
	if len(got.Digest) != 64 {
		t.Errorf("digest %q", got.Digest)
	}
	got.Digest = ""
	at := func(text string) time.Time {
		a, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	const h = time.Hour
	want := &policy.Policy{
		Format: policy.Format, File: path, RequireLabels: map[string]string{"chaos": "allowed"},
		Kinds: policy.Kinds{Allow: []string{"network_*", "process_kill"}, Deny: []string{"node_restart"}},
		Deny: policy.Deny{Exe: []string{"^/usr/sbin/sshd$"}, Command: []string{"^postgres"}, Units: []string{"systemd-*", "sshd.service"},
			Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("2001:db8::1/128")},
			Paths:    []string{"/var/lib/postgresql"}, Nodes: []string{"db-*"}},
		AtMost: policy.AtMost{Places: 3, Percent: 34}, MaxDuration: policy.MaxDuration{Fault: 10 * time.Minute, Run: 2 * h},
		Hours: []policy.Hours{
			{Days: []time.Weekday{1, 2, 3, 4}, From: 9 * h, To: 17 * h, Zone: "Europe/Berlin"},
			{Days: []time.Weekday{5, 6, 0, 1}, From: 22 * h, To: 6 * h, Zone: "UTC"},
		},
		Freezes: []policy.Freeze{
			{Name: "peak", From: at("2026-12-20T00:00:00+01:00"), To: at("2027-01-03T00:00:00+01:00"), Why: "Christmas sales"},
			{Name: "launch", From: at("2026-11-03T18:00:00-05:00"), To: at("2026-11-04T06:00:00Z")},
		},
		Approval: policy.Approval{Required: true, Approvers: []string{"ann", "bob"}}, AuditRequired: true,
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestUntrustedPolicies tries files that are no policy to be trusted: each is an error, never no policy.
func TestUntrustedPolicies(t *testing.T) {
	dir := t.TempDir()
	const text = "kinds {\n  deny = [\"node_restart\"]\n}\n"
	for name, tc := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"fine.hcl":    {text, 0o644, ""},
		"private.hcl": {text, 0o600, ""},
		"group.hcl":   {text, 0o664, "chmod go-w"},
		"others.hcl":  {text, 0o602, "Others may write the policy"},
		"bytes.hcl":   {"deny = \"\xff\"", 0o644, "not UTF-8"},
		"deep.hcl":    {"a = " + strings.Repeat("[", 1000), 0o644, "Nested too deeply"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, tc.mode); err != nil {
			t.Fatal(err)
		}
		p, said := policyComplaints(t, path)
		if (tc.want == "") != (p != nil) || !strings.Contains(said, tc.want) {
			t.Errorf("%s: %v, %q", name, p, said)
		}
	}
	for name, path := range map[string]string{"a missing file": filepath.Join(dir, "none.hcl"), "a folder": dir} {
		if p, said := policyComplaints(t, path); p != nil || !strings.Contains(said, "Cannot read the policy") {
			t.Errorf("%s: %v, %q", name, p, said)
		}
	}
}

// TestPolicyPage loads the policy that the manual shows.
func TestPolicyPage(t *testing.T) {
	page, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(page), "```hcl\n")
	text, _, closed := strings.Cut(after, "```")
	if !ok || !closed {
		t.Fatal("docs/policy.md has no example")
	}
	path := filepath.Join(t.TempDir(), "policy.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, said := policyComplaints(t, path); said != "" {
		t.Error(said)
	}
	for _, word := range []string{"time_zone", "require_labels", "kinds", "allow", "deny", "exe", "command", "units", "networks", "paths", "nodes",
		"at_most", "places", "percent", "max_duration", "fault", "run", "hours", "days", "freeze", "why", "approval", "approvers", "audit"} {
		if !strings.Contains(string(page), "`"+word) {
			t.Errorf("docs/policy.md does not explain %s", word)
		}
	}
}
