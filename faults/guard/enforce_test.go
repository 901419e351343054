package guard_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/faults/process"
	"gameday/policy"
)

// texts are what a policy finds in a question.
func texts(t *testing.T, p *policy.Policy, k faults.Kind, r guard.InjectRequest, host string) string {
	t.Helper()
	q, err := guard.Question(k, r, host)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, v := range p.Check(q, time.Now()) {
		out = append(out, v.Text)
	}
	return strings.Join(out, "\n")
}

// TestQuestionHasTwoSides asks about a cut from either side: whatever is denied is denied on both.
func TestQuestionHasTwoSides(t *testing.T) {
	denied := faults.Place{Name: "db", Host: "ops@db-1", Names: []string{"vault.example.org"}, Addresses: []netip.Addr{netip.MustParseAddr("10.9.0.1")},
		Process: &faults.Process{PID: 1 << 22, Start: 7, Exe: "/usr/bin/postgres", Command: "postgres: writer"}}
	other := faults.Place{Name: "web", Host: "web-1", Addresses: []netip.Addr{netip.MustParseAddr("10.1.0.1")},
		Process: &faults.Process{PID: 1<<22 + 1, Start: 7, Exe: "/usr/bin/web", Command: "web"}}
	node := faults.Place{Name: "n", Node: &faults.Node{Name: "ledger"}}
	k := faults.Kind{Name: "cut", Needs: faults.NeedNetwork, Between: true, New: func() faults.Config { return &anything{} }}
	p := &policy.Policy{Format: policy.Format, Deny: policy.Deny{Exe: []string{"postgres$"}, Command: []string{"^postgres: "},
		Nodes: []string{"db-*", "vault", "LEDGER"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}}
	for name, ends := range map[string][2]faults.Place{"first": {denied, other}, "second": {other, denied}} {
		at := ends[0]
		at.Peers = []faults.Peer{ends[1].Peer(), node.Peer()}
		all := texts(t, p, k, guard.InjectRequest{Kind: "cut", Config: json.RawMessage(`{}`), Place: at}, "web-1")
		for _, want := range []string{`executable "/usr/bin/postgres"`, `command line "postgres: writer"`, "node db-1", "node vault.example.org", "node ledger", "10.9.0.0/16"} {
			if !strings.Contains(all, want) {
				t.Errorf("with the denied one %s: %q is not among the violations:\n%s", name, want, all)
			}
		}
	}
}

// TestQuestionOfFamily asks about a pause with tree, which touches a child that is denied.
func TestQuestionOfFamily(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sleep 61 & wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	root, err := process.Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	children := func() []faults.Process {
		all, err := (&process.Pause{Tree: true}).Spreads(faults.Place{Process: &root})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	deadline := time.Now().Add(10 * time.Second)
	isSleep := func(p faults.Process) bool { return p.Command == "sleep 61" }
	for !slices.ContainsFunc(children(), isSleep) {
		if time.Now().After(deadline) {
			t.Fatalf("no child: %+v", children())
		}
	}
	child := children()[0]
	t.Cleanup(func() {
		if process.Alive(child) {
			if p, err := os.FindProcess(child.PID); err == nil {
				_ = p.Kill()
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p := &policy.Policy{Format: policy.Format, Deny: policy.Deny{Command: []string{"^sleep 61$"}}}
	for config, want := range map[string]bool{`{}`: false, `{"tree":true}`: true, `{"tree":true,"method":"freezer"}`: true} {
		for _, host := range []string{"", "this-host"} {
			r := guard.InjectRequest{Kind: "process_pause", Config: json.RawMessage(config), Place: faults.Place{Name: "x", Process: &root}}
			if all := texts(t, p, process.PauseKind(), r, host); strings.Contains(all, "sleep 61") != want {
				t.Errorf("%s: violations %q", config, all)
			}
		}
	}
}

// TestQuestionFromElsewhere checks that a pid on another machine is not taken for the one of the same number here.
func TestQuestionFromElsewhere(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &policy.Policy{Format: policy.Format, Deny: policy.Deny{Exe: []string{"^" + own + "$"}}}
	at := faults.Place{Name: "x", Host: "web1", Process: &faults.Process{PID: os.Getpid(), Start: 1, Exe: "/usr/bin/web", Command: "web"}}
	r := guard.InjectRequest{Kind: "fake", Config: json.RawMessage(`{}`), Place: at}
	k := newWorld().kinds()[0]
	if all := texts(t, p, k, r, ""); all != "" {
		t.Errorf("asked here of a process over there: %s", all)
	}
	if all := texts(t, p, k, r, "over-there"); !strings.Contains(all, own) {
		t.Errorf("asked over there: %q", all)
	}
	r.Place.Host = ""
	if all := texts(t, p, k, r, ""); !strings.Contains(all, own) {
		t.Errorf("asked here of a process here: %q", all)
	}
}

// TestGuardCountsTogether checks that faults of one run which each touch little are counted together, what they ended
// included until it is back, and that a place which two of them touch counts once.
func TestGuardCountsTogether(t *testing.T) {
	at := func(id, fault, kind string, pid int, found ...string) guard.InjectRequest {
		r := request(id, fault)
		r.Kind, r.Place.Process = kind, &faults.Process{PID: pid, Start: 1}
		r.Claims.Found = len(found)
		r.Claims.Sides = []policy.Side{{Touched: []string{r.Place.Individual()}, Found: found}}
		return r
	}
	name := func(pid int) string { return faults.Place{Process: &faults.Process{PID: pid, Start: 1}}.Individual() }
	four := []string{name(11), name(12), name(13), name(14)}
	for what, p := range map[string]*policy.Policy{
		"places":  {Format: policy.Format, AtMost: policy.AtMost{Places: 2}},
		"percent": {Format: policy.Format, AtMost: policy.AtMost{Percent: 50}},
	} {
		t.Run(what, func(t *testing.T) {
			r := governed(t, newWorld(), func(o *guard.Options) { o.Policies = []*policy.Policy{p} })
			try := func(say string, q guard.InjectRequest, want bool) {
				t.Helper()
				if _, err := r.Inject(t.Context(), q); errors.Is(err, guard.ErrForbidden) == want || (want && err != nil) {
					t.Errorf("%s: %v", say, err)
				}
			}
			try("the first kill", at("a", "one", "final", 11, four...), true)
			try("a pause besides", at("b", "two", "fake", 12, four[1:]...), true)
			try("a third", at("c", "three", "final", 13, four[1:]...), false)
			if err := r.Revert(t.Context(), "b"); err != nil {
				t.Fatal(err)
			}
			try("another after the pause", at("d", "three", "final", 13, four[1:]...), true)
			try("the next", at("e", "four", "final", 14, four[1], four[3]), false)
			back := at("f", "four", "final", 14, four[1], four[3], name(21), name(23))
			back.Claims.Back = []string{"a", "d"}
			try("the next, when they are back", back, true)
			again := at("g", "five", "fake", 12, four[1], name(21), name(23))
			again.Claims.Back = back.Claims.Back
			try("a second one beside it", again, true)
			same := at("h", "six", "ending", 12, four[1], name(21), name(23))
			same.Claims.Back = back.Claims.Back
			try("the same place once more", same, true)
			r.end(t)
		})
	}
}

// TestJudge asks a guard about a fault that another one is to inject.
func TestJudge(t *testing.T) {
	w := newWorld()
	no := &policy.Policy{Format: policy.Format, Kinds: policy.Kinds{Deny: []string{"final"}}}
	r := governed(t, w, func(o *guard.Options) { o.Policies = []*policy.Policy{no} })
	ask := request("a", "f")
	ask.Config = json.RawMessage(`{"bad":"bind"}`) // it could not be bound here: that is not asked
	if err := r.Judge(t.Context(), ask); err != nil {
		t.Errorf("what is allowed: %v", err)
	}
	ask.Kind = "final"
	if err := r.Judge(t.Context(), ask); !errors.Is(err, guard.ErrForbidden) {
		t.Errorf("what is not: %v", err)
	}
	sly := request("b", "f")
	sly.Judge = true
	if _, err := r.Inject(t.Context(), sly); err == nil || len(w.ids()) > 0 {
		t.Errorf("a question was injected: %v, %v", err, w.ids())
	}
	if err := faults.SetHalt(faults.HaltFile(r.ledger.Dir()), faults.Halt{By: "ann", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := r.Judge(t.Context(), request("a", "f")); !errors.Is(err, faults.ErrHalted) {
		t.Errorf("when all game days are stopped: %v", err)
	}
	if _, err := faults.LiftHalt(faults.HaltFile(r.ledger.Dir())); err != nil {
		t.Fatal(err)
	}
	r.end(t)
	if err := r.Judge(t.Context(), request("a", "f")); err == nil {
		t.Error("a guard that is gone allows it")
	}
}

func TestHostPart(t *testing.T) {
	for to, want := range map[string]string{"db-1": "db-1", "root@db-1": "db-1", "ssh://db-1": "db-1", "ssh://ops@db-1:2222": "db-1",
		"ssh://ops@[2001:db8::7]:22": "2001:db8::7", "ssh://[2001:db8::7]": "2001:db8::7", "ops@2001:db8::7": "2001:db8::7", "a@b@db-1": "db-1", "": ""} {
		if got := guard.HostPart(to); got != want {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
}
