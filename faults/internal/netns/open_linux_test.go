package netns_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// nobody is a user who may not look at root's processes.
const nobody = 65534

// sleeperIn starts a process in a namespace, as a user.
func sleeperIn(t *testing.T, ns *os.File, uid uint32) faults.Process {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	if err := netns.Within(ns, cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return faults.Process{PID: cmd.Process.Pid, Start: startOf(t, cmd.Process.Pid)}
}

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

// asNobody calls f on a thread without root's rights, which ends afterwards.
func asNobody(t *testing.T, f func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("root is needed, to become somebody else")
		}
		t.Skip("root is needed, to become somebody else")
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		_, errGroup := unix.SetfsgidRetGid(nobody)
		_, errUser := unix.SetfsuidRetUid(nobody)
		none := [2]unix.CapUserData{}
		err := errors.Join(errGroup, errUser,
			unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]))
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

// TestOpenAlive goes in only by a process that has been there all along.
func TestOpenAlive(t *testing.T) {
	ns, n := scratch(t)
	p := sleeperIn(t, ns, 0)
	there, elsewhere := n, n
	there.PID, elsewhere.PID = p.PID, os.Getpid()
	other := p
	other.Start--
	gone := faults.Process{PID: 1 << 22, Start: 1}
	for name, tt := range map[string]struct {
		place faults.Place
		want  bool
	}{
		"its process":        {faults.Place{Process: &p, Network: &there}, true},
		"its node":           {faults.Place{Node: &faults.Node{Init: p}, Network: &there}, true},
		"a member":           {faults.Place{Network: &there}, true},
		"its node's, alive":  {faults.Place{Process: &gone, Network: &there}, true},
		"a pid handed on":    {faults.Place{Process: &other, Network: &there}, false},
		"a node's handed on": {faults.Place{Node: &faults.Node{Init: other}, Network: &there}, false},
		"dead":               {faults.Place{Process: &gone, Network: &n}, false},
		"elsewhere":          {faults.Place{Network: &elsewhere}, false},
		"nobody":             {faults.Place{Network: &n}, false},
	} {
		tt.place.Name = "payments"
		f, err := netns.OpenAlive(tt.place)
		if err == nil {
			f.Close()
		}
		if (err == nil) != tt.want || err != nil && (!errors.Is(err, netns.ErrGone) ||
			!strings.Contains(err.Error(), "nothing was touched") || !strings.Contains(err.Error(), "payments")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	own, err := netns.Own()
	if err != nil {
		t.Fatal(err)
	}
	f, err := netns.OpenAlive(faults.Place{Process: &gone, Network: own})
	if err != nil {
		t.Fatalf("this process vouches for its own: %v", err)
	}
	f.Close()
	if _, err := netns.OpenAlive(faults.Place{Name: "payments"}); err == nil {
		t.Error("a place without a network is opened")
	}
}

// TestStrangerWithThePid looks for a namespace whose process's pid is that of somebody by now who may not be looked at.
func TestStrangerWithThePid(t *testing.T) {
	ns, n := scratch(t)
	stranger := exec.Command("sleep", "60") // root's
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stranger.Process.Kill()
		_ = stranger.Wait()
	})
	n.PID = stranger.Process.Pid
	before := faults.Process{PID: n.PID, Start: startOf(t, n.PID) - 1}
	asked := func(open netns.Door) error {
		return asNobody(t, func() error {
			f, err := open()
			if err == nil {
				f.Close()
			}
			return err
		})
	}
	place := faults.Place{Network: &n}
	if err := asked(netns.Wide(place)); err == nil || errors.Is(err, netns.ErrGone) ||
		!strings.Contains(err.Error(), "not allowed to look at process "+strconv.Itoa(n.PID)) {
		t.Errorf("nobody else is there: %v", err)
	}
	place.Process = &before
	if err := asked(netns.Wide(place)); !errors.Is(err, netns.ErrGone) {
		t.Errorf("it is known that the process is another: %v", err)
	}
	if err := asked(netns.See(faults.Place{Network: &n}).Open); err == nil || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("on the way in: %v", err)
	}
	sleeperIn(t, ns, nobody)
	place.Process = nil
	if err := asked(netns.Wide(place)); err != nil {
		t.Errorf("another process is there: %v", err)
	}
}
