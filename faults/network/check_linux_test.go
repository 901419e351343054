package network_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/faults/kinds"
	"gameday/faults/network"
)

// checked binds and checks.
func checked(t *testing.T, c faults.Config, place faults.Place) error {
	t.Helper()
	i, err := c.Bind(place)
	if err != nil {
		t.Fatal(err)
	}
	return i.(faults.Checker).Check(t.Context())
}

// TestMissingNetem asks a kernel without netem for what needs it: it says so, and touches nothing.
func TestMissingNetem(t *testing.T) {
	a, b := pair(t)
	before, tree := a.ruleset(t), a.tree(t)
	if err := checked(t, &network.Rate{}, a.place(t, b)); err != nil {
		t.Fatalf("a rate needs no netem: %v", err)
	}
	if err := checked(t, &network.Partition{}, a.place(t, b)); err != nil {
		t.Fatalf("a partition needs no qdisc: %v", err)
	}
	for name, c := range map[string]faults.Config{"network_delay": &network.Delay{}, "network_loss": &network.Loss{},
		"network_duplicate": &network.Duplicate{},
		"network_corrupt":   &network.Corrupt{}, "network_reorder": &network.Reorder{}} {
		err := checked(t, c, a.place(t, b))
		if err == nil {
			t.Skip("this kernel has netem")
		}
		for _, want := range []string{name, "storefront", "the kernel has no netem", "module sch_netem",
			"CONFIG_NET_SCH_NETEM"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v lacks %q", name, err, want)
			}
		}
	}
	// Without the check, injecting fails in the same words, and its entry reverts what was done until then.
	s, err := apply(t.Context(), network.DelayKind(), "delay", &network.Delay{}, a.place(t, b), time.Minute)
	if err == nil || !strings.Contains(err.Error(), "sch_netem") {
		t.Errorf("injecting: %v", err)
	}
	s.mustRevert(t)
	if a.ruleset(t) != before || a.tree(t) != tree {
		t.Errorf("something is left:\n%s", a.tree(t))
	}
}

// TestMissingCapability checks as a user who may enter the namespace but not change it, and as one who may do neither.
func TestMissingCapability(t *testing.T) {
	a, b := pair(t)
	const sysPtrace, sysAdmin, dacOverride = 19, 21, 1
	for want, capabilities := range map[string][]uintptr{
		"lacks CAP_NET_ADMIN": {sysPtrace, sysAdmin, dacOverride},
		"lacks CAP_SYS_ADMIN": {sysPtrace, dacOverride},
	} {
		for _, kind := range []string{"network_rate", "network_partition"} {
			raw, err := json.Marshal(guard.InjectRequest{Kind: kind, Place: a.place(t, b)})
			if err != nil {
				t.Fatal(err)
			}
			cmd := selfAs(t, "check", string(raw))
			cmd.Path = "/proc/self/exe" // the folder of the test's program is closed to others
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true},
				AmbientCaps: capabilities}
			out, err := cmd.CombinedOutput()
			if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EINVAL) {
				if os.Getenv("CI") != "" {
					t.Fatalf("no other user can be become here: %v", err)
				}
				t.Skipf("no other user can be become here: %v", err)
			}
			if !strings.Contains(string(out), want) || !strings.Contains(string(out), "on storefront") {
				t.Errorf("%s with %v: %s, %v; want %q", kind, capabilities, out, err, want)
			}
		}
	}
}

// playCheck binds and checks the request in its first argument, and prints what is missing.
func playCheck() int {
	var r guard.InjectRequest
	if err := json.Unmarshal([]byte(os.Args[1]), &r); err != nil {
		fmt.Println(err)
		return 1
	}
	for _, k := range kinds.All() {
		if k.Name != r.Kind {
			continue
		}
		i, err := k.New().Bind(r.Place)
		if err == nil {
			err = i.(faults.Checker).Check(context.Background())
		}
		fmt.Println(err)
	}
	return 0
}

// TestSelfCutRefused places a fault on the guard's own network, where it needs the address.
func TestSelfCutRefused(t *testing.T) {
	needSandbox(t)
	runtime.LockOSThread() // the first thread, which /proc/self shows, may have been lent to a node
	own, err := os.Stat("/proc/thread-self/ns/net")
	runtime.UnlockOSThread()
	if err != nil {
		t.Fatal(err)
	}
	st := own.Sys().(*syscall.Stat_t)
	place := faults.Place{Name: "here", Network: &faults.Namespace{Inode: st.Ino, Device: st.Dev, PID: os.Getpid()}}
	t.Setenv("GAMEDAY_KEEP", "198.18.7.0/24")
	for name, made := range map[string]func(allow bool) faults.Config{
		"network_partition": func(allow bool) faults.Config {
			return &network.Partition{To: []string{"198.18.7.1"}, AllowSelfCut: allow}
		},
		"network_rate": func(allow bool) faults.Config {
			return &network.Rate{To: []string{"198.18.7.1"}, AllowSelfCut: allow}
		},
	} {
		err := checked(t, made(false), place)
		if err == nil || !strings.Contains(err.Error(), "GAMEDAY_KEEP") || !strings.Contains(err.Error(),
			"allow_self_cut = true") {
			t.Errorf("%s: %v", name, err)
		}
		i, err := made(false).Bind(place)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.Undo(t.Context()); err == nil {
			t.Errorf("%s can be injected unchecked", name)
		}
		if err := checked(t, made(true), place); err != nil {
			t.Errorf("%s, allowed: %v", name, err)
		}
	}
}

// TestSourceIsSpared keeps gameday's way to an alarm source that answers at the place itself.
func TestSourceIsSpared(t *testing.T) {
	a, b := pair(t)
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	gameday := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(198, 18, 9, 1), Mask: net.CIDRMask(32, 32)}}
	if err := netlink.AddrAdd(lo, gameday); err != nil { // of the sandbox, which is the guard's network
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.AddrDel(lo, gameday) })
	t.Setenv("GAMEDAY_KEEP", a.v4.String()+":9090")
	before, tree := a.ruleset(t), a.tree(t)
	for name, made := range map[string]func(to string, allow bool) faults.Config{
		"network_partition": func(to string, allow bool) faults.Config {
			return &network.Partition{To: []string{to}, AllowSelfCut: allow}
		},
		"network_rate": func(to string, allow bool) faults.Config { return &network.Rate{To: []string{to}, AllowSelfCut: allow} },
	} {
		if err := checked(t, made("198.18.0.0/15", false), a.place(t)); err == nil ||
			!strings.Contains(err.Error(), a.v4.String()+":9090 of GAMEDAY_KEEP") {
			t.Errorf("%s of gameday's own: %v", name, err)
		}
		if err := checked(t, made("198.18.0.0/15", true), a.place(t)); err != nil {
			t.Errorf("%s of gameday's own, allowed: %v", name, err)
		}
		if err := checked(t, made(b.v4.String(), false), a.place(t)); err != nil {
			t.Errorf("%s of another node: %v", name, err)
		}
		if err := checked(t, made("198.18.0.0/15", false), b.place(t)); err != nil {
			t.Errorf("%s at another node: %v", name, err)
		}
	}
	if a.ruleset(t) != before || a.tree(t) != tree {
		t.Error("something was touched")
	}
}
