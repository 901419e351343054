package guard_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/policy"
)

// TestQuestionOfBeginning asks about a container whose program did not run yet when it was found: nobody knows what it is, whatever
// its first process executes now.
func TestQuestionOfBeginning(t *testing.T) {
	k := newWorld().kinds()[0]
	container := &faults.Node{Name: "shop", Engine: "/run/docker.sock", Container: "0123456789ab"}
	for name, c := range map[string]struct {
		exe, command string
		node         *faults.Node
		want         int // things that cannot be read
	}{
		"not yet":      {"", "", container, 2},
		"known":        {"/shop", "/shop serve", container, 0},
		"no container": {"", "", nil, 0},
	} {
		q, err := guard.Question(k, guard.InjectRequest{Kind: "fake", Config: json.RawMessage(`{}`), Place: faults.Place{Node: c.node,
			Process: &faults.Process{PID: os.Getpid(), Exe: c.exe, Command: c.command}}}, "")
		if err != nil {
			t.Fatal(err)
		}
		p := &policy.Policy{Format: policy.Format, Deny: policy.Deny{Exe: []string{"^/usr/sbin/sshd$"}, Command: []string{"^sshd"}}}
		var texts []string
		for _, v := range p.Check(q, time.Now()) {
			texts = append(texts, v.Text)
		}
		if all := strings.Join(texts, "\n"); len(texts) != c.want || strings.Count(all, "cannot be read") != c.want {
			t.Errorf("%s: %d violations, want %d:\n%s", name, len(texts), c.want, all)
		}
	}
}
