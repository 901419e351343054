package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/policy"
)

// governed is a rig whose guard has options of its own.
func governed(t *testing.T, w *world, set func(*guard.Options)) *rig {
	t.Helper()
	l, err := faults.OpenLedger(filepath.Join(t.TempDir(), "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	o := guard.Options{Kinds: w.kinds(), Ledger: l, Version: "test", Halts: []string{faults.HaltFile(l.Dir())}}
	set(&o)
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	r := &rig{world: w, ledger: l, served: make(chan error, 1), Client: guard.Connect(inWrite, outRead)}
	go func() {
		err := guard.Serve(context.Background(), inRead, outWrite, o)
		outWrite.Close()
		r.served <- err
	}()
	return r
}

func request(id, fault string) guard.InjectRequest {
	return guard.InjectRequest{ID: id, Run: "run", Fault: fault, Kind: "fake", Config: json.RawMessage(`{}`),
		Place: faults.Place{Name: id}, Lease: time.Minute, Deadline: 5 * time.Minute, Claims: policy.Claims{Duration: time.Minute, Selected: 1, Found: 10}}
}

// TestGuardEnforces checks that a guard injects nothing that a policy forbids, whoever brought the policy.
func TestGuardEnforces(t *testing.T) {
	no := &policy.Policy{Format: policy.Format, File: "policy.hcl", Kinds: policy.Kinds{Deny: []string{"fake"}}}
	for name, set := range map[string]func(*guard.Options){
		"the machine's own": func(o *guard.Options) { o.Policies = []*policy.Policy{no} },
		"the client's":      nil,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			r := governed(t, w, func(o *guard.Options) {
				if set != nil {
					set(o)
				}
			})
			if set == nil {
				if err := r.Enforce(t.Context(), []*policy.Policy{no}); err != nil {
					t.Fatal(err)
				}
			}
			_, err := r.Inject(t.Context(), request("a", "f"))
			if !errors.Is(err, guard.ErrForbidden) || !strings.Contains(err.Error(), "the kind fake is denied (kinds in policy.hcl)") {
				t.Errorf("injecting: %v", err)
			}
			if err := r.Check(t.Context(), request("a", "f")); !errors.Is(err, guard.ErrForbidden) {
				t.Errorf("checking: %v", err)
			}
			if ids := append(w.ids(), r.ledgerIDs(t)...); len(ids) > 0 {
				t.Errorf("something was touched: %v", ids)
			}
			r.end(t)
		})
	}
}

// TestGuardCounts checks that a guard counts places by itself, and believes no client that tells fewer.
func TestGuardCounts(t *testing.T) {
	p := &policy.Policy{Format: policy.Format, File: "p", AtMost: policy.AtMost{Places: 2, Percent: 20}}
	r := governed(t, newWorld(), func(o *guard.Options) { o.Policies = []*policy.Policy{p} })
	for i, id := range []string{"a", "b", "c"} {
		_, err := r.Inject(t.Context(), request(id, "f"))
		if want := i == 2; want != errors.Is(err, guard.ErrForbidden) {
			t.Errorf("place %d: %v", i+1, err)
		}
	}
	if _, err := r.Inject(t.Context(), request("d", "other")); !errors.Is(err, guard.ErrForbidden) {
		t.Errorf("another fault beside the two: %v", err)
	}
	if err := errors.Join(r.Revert(t.Context(), "a"), r.Revert(t.Context(), "b")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Inject(t.Context(), request("d", "other")); err != nil {
		t.Errorf("another fault after the two: %v", err)
	}
	silent := request("e", "third")
	silent.Claims.Found = 0
	if _, err := r.Inject(t.Context(), silent); !errors.Is(err, guard.ErrForbidden) {
		t.Errorf("a client that does not say of how many: %v", err)
	}
	r.end(t)
}

// TestGuardCutsDeadline checks that a client which renews for ever cannot make a fault outlast the policy.
func TestGuardCutsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := &policy.Policy{Format: policy.Format, MaxDuration: policy.MaxDuration{Fault: 2 * time.Minute}}
		r := governed(t, w, func(o *guard.Options) { o.Policies = []*policy.Policy{p} })
		q := request("a", "f")
		q.Lease, q.Deadline = 30*time.Second, time.Hour
		hung := request("h", "g")
		hung.Lease, hung.Deadline = 7*24*time.Hour, 7*24*time.Hour
		if _, err := r.Inject(t.Context(), hung); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Inject(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		began, stood := time.Now(), time.Duration(0)
		for range 20 {
			time.Sleep(10 * time.Second) // fake time
			if _, err := r.Renew(t.Context(), 30*time.Second, "a"); err != nil {
				t.Fatal(err)
			}
			if len(w.ids()) > 0 { // the one that is renewed, and the one whose lease is a week
				stood = time.Since(began)
			}
		}
		if stood > 130*time.Second || stood < 120*time.Second {
			t.Errorf("it stood for %v, want 2m and no more than 10s", stood)
		}
		long := request("b", "f")
		long.Claims.Duration = 3 * time.Minute
		if _, err := r.Inject(t.Context(), long); !errors.Is(err, guard.ErrForbidden) {
			t.Errorf("a fault planned for 3m: %v", err)
		}
		r.end(t)
	})
}

// TestGuardHalt checks that nothing is injected while all game days are stopped, and that what stands can be reverted.
func TestGuardHalt(t *testing.T) {
	w := newWorld()
	r := governed(t, w, func(*guard.Options) {})
	if _, err := r.Inject(t.Context(), request("a", "f")); err != nil {
		t.Fatal(err)
	}
	halt := faults.HaltFile(r.ledger.Dir())
	if err := faults.SetHalt(halt, faults.Halt{By: "ann", At: time.Now(), Why: "an incident"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Inject(t.Context(), request("b", "f")); !errors.Is(err, faults.ErrHalted) || !strings.Contains(err.Error(), "stopped by ann") {
		t.Errorf("injecting: %v", err)
	}
	// What stands goes without the client, which may hang.
	began := time.Now()
	if e := event(t, r, guard.EventHalted, "a"); !strings.Contains(e.Why, "an incident") || time.Since(began) > 2*time.Second {
		t.Errorf("after %v: %+v", time.Since(began), e)
	}
	r.mustBeClean(t)
	if _, err := faults.LiftHalt(halt); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Inject(t.Context(), request("b", "f")); err != nil {
		t.Errorf("after it was lifted: %v", err)
	}
	r.end(t)
}

// TestEnforceRefuses checks that a guard says when it cannot enforce what it is given.
func TestEnforceRefuses(t *testing.T) {
	r := governed(t, newWorld(), func(*guard.Options) {})
	if err := r.Enforce(t.Context(), []*policy.Policy{{Format: policy.Format + 1}}); err == nil || !strings.Contains(err.Error(), "format") {
		t.Errorf("a policy of another format: %v", err)
	}
	r.end(t)
}

// TestQuestion asks the kernel about a real process, and does not believe a client that calls it something else.
func TestQuestion(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	for deadline := time.Now().Add(10 * time.Second); ; { // a new program's arguments are there a moment after it is
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid)); err == nil && len(line) > 0 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("no command line: %v", err)
		}
	}
	k := newWorld().kinds()[0]
	k.Needs = faults.NeedNetwork
	q, err := guard.Question(k, guard.InjectRequest{Kind: "fake", Config: json.RawMessage(`{}`), Place: faults.Place{
		Process:   &faults.Process{PID: cmd.Process.Pid, Exe: "/usr/bin/harmless", Command: "harmless"},
		Addresses: []netip.Addr{netip.MustParseAddr("10.1.1.1")}}}, "host-1")
	if err != nil {
		t.Fatal(err)
	}
	p := &policy.Policy{Format: policy.Format, Deny: policy.Deny{Exe: []string{"sleep|coreutils"}, Command: []string{"^sleep 60$"},
		Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Nodes: []string{"host-*"}}}
	var texts []string
	for _, v := range p.Check(q, time.Now()) {
		texts = append(texts, v.Text)
	}
	all := strings.Join(texts, "\n")
	for _, want := range []string{"executable", "sleep 60", "reaches 0.0.0.0/0", "node host-1"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not among the violations:\n%s", want, all)
		}
	}
}

func TestTouched(t *testing.T) {
	net := newWorld().kinds()[0]
	net.Needs = faults.NeedNetwork
	place := faults.Place{Addresses: []netip.Addr{netip.MustParseAddr("10.1.1.1")}}
	peered := place
	peered.Peers = []faults.Peer{{Name: "db", Addresses: []netip.Addr{netip.MustParseAddr("10.2.2.2")}}}
	net.New = func() faults.Config { return &anything{} }
	for name, tc := range map[string]struct {
		place  faults.Place
		config string
		want   string
	}{
		"nothing said":  {place, `{}`, "0.0.0.0/0 ::/0 10.1.1.1/32"},
		"peers":         {peered, `{}`, "10.2.2.2/32 10.1.1.1/32"},
		"addresses":     {place, `{"to":["192.0.2.7","198.51.100.9/24"],"ports":[80]}`, "192.0.2.7/32 198.51.100.0/24 10.1.1.1/32"},
		"a mapped one":  {place, `{"to":["::ffff:192.0.2.7"]}`, "192.0.2.7/32 10.1.1.1/32"},
		"paths besides": {peered, `{"file":"/var/../etc/x"}`, "10.2.2.2/32 10.1.1.1/32 /etc/x"},
	} {
		got, err := faults.TouchedBy(net, json.RawMessage(tc.config), tc.place)
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, n := range got.Networks {
			parts = append(parts, n.String())
		}
		if text := strings.Join(append(parts, got.Paths...), " "); text != tc.want {
			t.Errorf("%s: %s, want %s", name, text, tc.want)
		}
	}
}

// anything is a config that takes every setting.
type anything map[string]any

func (anything) Validate() error                             { return nil }
func (anything) Bind(faults.Place) (faults.Injection, error) { return nil, errors.New("not here") }

// TestMachinePolicy tries files that are no policy to be trusted.
func TestMachinePolicy(t *testing.T) {
	dir := t.TempDir()
	if p, err := guard.LoadMachinePolicy(filepath.Join(dir, "none")); p != nil || err != nil {
		t.Errorf("no file: %v, %v", p, err)
	}
	raw, err := json.Marshal(policy.Policy{Format: policy.Format, File: "made-elsewhere.hcl"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		text string
		mode os.FileMode
		uid  int
		want string
	}{
		"good":               {string(raw), 0o644, 0, ""},
		"writable by group":  {string(raw), 0o664, 0, "chmod go-w"},
		"writable by others": {string(raw), 0o646, 0, "chmod go-w"},
		"somebody's":         {string(raw), 0o644, 1234, "chown root"},
		"torn":               {`{"format":1`, 0o644, 0, "gameday policy compile"},
		"empty":              {``, 0o644, 0, "gameday policy compile"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			if err := os.WriteFile(path, []byte(tc.text), tc.mode); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Chmod(path, tc.mode), os.Chown(path, tc.uid, -1)); err != nil {
				if os.Getenv("CI") != "" {
					t.Fatal(err)
				}
				t.Skipf("files cannot be given away here: %v", err)
			}
			p, err := guard.LoadMachinePolicy(path)
			if tc.want == "" {
				if err != nil || p.File != path {
					t.Errorf("%v, %v", p, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("good", link); err != nil {
		t.Fatal(err)
	}
	if _, err := guard.LoadMachinePolicy(link); err == nil {
		t.Error("a link is taken for a policy")
	}
}
