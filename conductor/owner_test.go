package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/find"
	"gameday/faults/guard"
	"gameday/faults/kinds"
	"gameday/internal/sshrig"
	"gameday/policy"
	"gameday/targets"
	remote "gameday/targets/hosts"
)

// ownerVariable makes the test binary the guard of a host whose owner left a policy, in the file that it names. Beside it
// lie the host's ledger and halt.
const ownerVariable = "GAMEDAY_CONDUCTOR_TEST_OWNER"

func ownerGuard(path string) int {
	raw, err := os.ReadFile(path)
	if err == nil {
		var own *policy.Policy
		var l *faults.Ledger
		own, err = policy.Parse(raw)
		if err == nil {
			l, err = faults.OpenLedger(filepath.Join(filepath.Dir(path), "ledger"))
		}
		if err == nil {
			err = guard.Serve(context.Background(), os.Stdin, os.Stdout, guard.Options{Kinds: kinds.All(), Ledger: l, Version: "test",
				Policies: []*policy.Policy{own}, Halts: []string{faults.HaltFile(l.Dir())}, Find: find.Answer})
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// owned is a run with a restart of a host whose owner has a policy. Nothing of it is ever injected.
type owned struct {
	*run
	halt string
}

func newOwned(t *testing.T, own policy.Policy) *owned {
	t.Helper()
	own.Format, own.File = policy.Format, "owner.hcl"
	raw, err := json.Marshal(own)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "policy.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := sshrig.Start(t, sshrig.Options{Environment: []string{ownerVariable + "=" + filepath.Join(dir, "policy.json")}})
	s := load(t, "", "scenario \"s\" {"+plainHead+fmt.Sprintf("target \"box\" {\n host {\n ssh = %q\n config = %q\n guard = %q\n }\n}\n",
		sshrig.Host, server.Config, self)+"fault \"node_restart\" \"boot\" {\n target = target.box\n at = \"2s\"\n}\n}")
	pool := &remote.Pool{}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = pool.Close(ctx)
	})
	nobody := func(context.Context) (*guard.Client, error) { return nil, errors.New("no guard stands here") }
	r := &run{Options: Options{Scenario: s, Run: "run-1", Machine: &targets.Machine{Hosts: pool, Stand: nobody}}, loadBegan: make(chan struct{}),
		enforced: map[*guard.Client]bool{}, followed: map[*guard.Client]bool{}}
	r.ctx, r.cancel = context.WithCancelCause(t.Context())
	return &owned{run: r, halt: faults.HaltFile(filepath.Join(dir, "ledger"))}
}

// ask resolves the restart and asks all whom it concerns.
func (o *owned) ask(t *testing.T) (faults.Place, error) {
	t.Helper()
	f := &o.Scenario.Faults[0]
	places, err := o.run.resolve(f)
	if err != nil || len(places) != 1 {
		t.Fatalf("places %v, %v", places, err)
	}
	request, err := o.request(f, places[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	return request.Place, o.forbidden(f, request)
}

// TestOwnerIsAsked checks that a host is not taken down against its owner's policy or halt, although the fault is held by
// a guard elsewhere.
func TestOwnerIsAsked(t *testing.T) {
	t.Run("forbidden", func(t *testing.T) {
		_, err := newOwned(t, policy.Policy{Kinds: policy.Kinds{Deny: []string{"node_restart"}}}).ask(t)
		if !errors.Is(err, guard.ErrForbidden) || !strings.Contains(err.Error(), "host web1") || !strings.Contains(err.Error(), "owner.hcl") {
			t.Errorf("asked: %v", err)
		}
	})
	t.Run("allowed and halted", func(t *testing.T) {
		o := newOwned(t, policy.Policy{Kinds: policy.Kinds{Deny: []string{"process_*"}}})
		if _, err := o.ask(t); err != nil {
			t.Errorf("asked: %v", err)
		}
		if err := faults.SetHalt(o.halt, faults.Halt{By: "ann", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if _, err := o.ask(t); !errors.Is(err, faults.ErrHalted) {
			t.Errorf("asked while the host is halted: %v", err)
		}
	})
	t.Run("silent", func(t *testing.T) {
		o := newOwned(t, policy.Policy{})
		f := &o.Scenario.Faults[0]
		places, err := o.run.resolve(f)
		if err != nil {
			t.Fatal(err)
		}
		request, err := o.request(f, places[0], 0)
		if err != nil {
			t.Fatal(err)
		}
		o.Scenario.Targets[0].Selector.(*targets.Host).Guard = "/no/such/guard" // it is gone since
		if err := o.forbidden(f, request); !errors.Is(err, guard.ErrForbidden) || !strings.Contains(err.Error(), "nobody can ask") {
			t.Errorf("asked: %v", err)
		}
	})
}

// TestHostIsDeniedByEachName checks that a host is denied by what it calls itself and by what ssh connects to, and not only
// by the words of the scenario.
func TestHostIsDeniedByEachName(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	o := newOwned(t, policy.Policy{})
	for _, denied := range []string{name, sshrig.Host, "127.0.0.1"} {
		o.Policies = []*policy.Policy{{Format: policy.Format, File: "p", Deny: policy.Deny{Nodes: []string{denied}}}}
		at, err := o.ask(t)
		if !errors.Is(err, guard.ErrForbidden) || !strings.Contains(err.Error(), "the node "+denied) {
			t.Errorf("%s, of the names %q: %v", denied, at.Names, err)
		}
		if !slices.Contains(at.Names, denied) {
			t.Errorf("%s is not among %q", denied, at.Names)
		}
		if got := rules(Violations(t.Context(), o.Options, bubbleStart)); !slices.Contains(got, "deny boot") {
			t.Errorf("plan with %s denied: %q", denied, got)
		}
	}
}
