package network_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"gameday/faults"
	"gameday/faults/network"
)

// startOf is field 22 of /proc/PID/stat.
func startOf(t *testing.T, pid int) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	start, err := strconv.ParseUint(fields[22-3], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return start
}

// deadProcess returns a process that is gone.
func deadProcess(t *testing.T) faults.Process {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := faults.Process{PID: cmd.Process.Pid, Start: startOf(t, cmd.Process.Pid)}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return p
}

// TestReusedNumber has a node's namespace carry the number of one that is gone, as the kernel deals numbers out again:
// nothing is injected there, in whichever way the place was seen, and reverting touches nothing of others there.
func TestReusedNumber(t *testing.T) {
	a, b := pair(t)
	a.addForeignTable(t, "firewall")
	mustApply(t, network.RateKind(), "another", &network.Rate{}, a.place(t, b), time.Minute)
	before, tree := a.ruleset(t), a.tree(t)
	gone := deadProcess(t)
	places := map[string]func(*faults.Place){
		"its process": func(p *faults.Place) { p.Process, p.Network.PID = &gone, gone.PID },
		"a node's":    func(p *faults.Place) { p.Node, p.Network.PID = &faults.Node{Init: gone}, gone.PID },
		"no identity": func(p *faults.Place) { p.Network.PID = gone.PID },
		"none":        func(p *faults.Place) { p.Network.PID = 0 },
		"pid of another": func(p *faults.Place) {
			p.Process = &faults.Process{PID: a.pid, Start: startOf(t, a.pid) - 1}
		},
		"moved": func(p *faults.Place) { p.Network.PID = b.pid },
	}
	for name, c := range map[string]faults.Config{"partition": &network.Partition{}, "rate": &network.Rate{}} {
		for how, change := range places {
			place := a.place(t, b)
			change(&place)
			i, err := c.Bind(place)
			if err != nil {
				t.Fatal(err)
			}
			_, errUndo := i.Undo(t.Context())
			for step, err := range map[string]error{
				"check": i.(faults.Checker).Check(t.Context()), "undo": errUndo, "inject": i.Inject(t.Context(), time.Minute),
			} {
				if err == nil || !strings.Contains(err.Error(), "nothing was touched") {
					t.Errorf("%s seen by %s: %s says %v", name, how, step, err)
				}
			}
			if a.ruleset(t) != before || a.tree(t) != tree {
				t.Fatalf("%s seen by %s stands in another's namespace:\n%s\n%s", name, how, a.ruleset(t), a.tree(t))
			}
		}
	}
	// What was injected into the namespace that is gone is reverted in the one that has its number.
	undo, err := json.Marshal(map[string]any{"table": "gameday-0a1b2c3d4e5f", "mark": "gameday run r injection i", "branch": map[string]any{
		"minor": 7, "quantum": 1<<16 | 9, "links": []map[string]any{{"index": a.linkIndex(t), "name": "eth0", "was": "noqueue", "was_handle": "0:"}}}})
	if err != nil {
		t.Fatal(err)
	}
	place := a.place(t, b)
	place.Network.PID = gone.PID
	for _, k := range []faults.Kind{network.PartitionKind(), network.RateKind()} {
		if err := k.Revert(t.Context(), faults.Entry{ID: "i", Run: "r", Kind: k.Name, Place: place, Undo: undo}); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
	if a.ruleset(t) != before || a.tree(t) != tree {
		t.Errorf("reverting touched another's namespace:\n%s\n%s", a.ruleset(t), a.tree(t))
	}
}

// TestProcessEndsBeforeInject binds a fault while the place's process lives, and injects when it is gone.
func TestProcessEndsBeforeInject(t *testing.T) {
	a, b := pair(t)
	sleeper := exec.Command("sleep", "60")
	if err := a.inside(sleeper.Start); err != nil {
		t.Fatal(err)
	}
	place := a.place(t, b)
	place.Network.PID = sleeper.Process.Pid
	i, err := (&network.Partition{}).Bind(place)
	if err != nil {
		t.Fatal(err)
	}
	before := a.ruleset(t)
	if _, err := i.Undo(t.Context()); err != nil {
		t.Errorf("while it lives: %v", err)
	}
	_ = sleeper.Process.Kill()
	_ = sleeper.Wait()
	if err := i.Inject(t.Context(), time.Minute); err == nil || !strings.Contains(err.Error(), "nothing was touched") {
		t.Errorf("when it is gone: %v", err)
	}
	if after := a.ruleset(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// linkIndex is the index of the node's cable.
func (n *node) linkIndex(t *testing.T) int {
	t.Helper()
	h, err := netlink.NewHandleAt(n.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	return n.link(t, h).Attrs().Index
}
