package netns_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/internal/netns"
	"gameday/internal/gcrig"
)

// scratch makes a network namespace that a file keeps, and nothing else.
func scratch(t *testing.T) (*os.File, faults.Namespace) {
	t.Helper()
	ns, err := netns.Scratch()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() { ns.Close() })
	var st unix.Stat_t
	if err := unix.Fstat(int(ns.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	return ns, faults.Namespace{Inode: st.Ino, Device: uint64(st.Dev)}
}

// TestWithin lends threads to a namespace from many goroutines. Each finds itself there, the process is never seen there,
// and whoever asks afterwards is where it was.
func TestWithin(t *testing.T) {
	ns, there := scratch(t)
	home, err := netns.Own()
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			err := netns.Within(ns, func() error {
				var st unix.Stat_t
				if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
					return err
				}
				if st.Ino != there.Inode {
					return errors.New("not there")
				}
				if err := unix.Stat("/proc/self/ns/net", &st); err != nil {
					return err
				}
				if st.Ino != home.Inode {
					return errors.New("the whole process seems to be there")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if now, err := netns.Own(); err != nil || !netns.Same(now, home) {
		t.Errorf("afterwards in %+v, %v; before in %+v", now, err, home)
	}
}

// TestWithinForgotten has nobody refer to the namespace's file: it is open all the same until the work there is done.
func TestWithinForgotten(t *testing.T) {
	home, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	fd, err := unix.Dup(int(home.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	err = netns.Within(os.NewFile(uintptr(fd), "forgotten"), func() error {
		gcrig.Collect(t)
		var st unix.Stat_t
		return unix.Fstat(fd, &st)
	})
	if err != nil {
		t.Errorf("it was closed: %v", err)
	}
}

// TestWithinKeepsErrors hands on what the function returns, and makes an error of its panic.
func TestWithinKeepsErrors(t *testing.T) {
	ns, _ := scratch(t)
	want := errors.New("mine")
	if err := netns.Within(ns, func() error { return want }); !errors.Is(err, want) {
		t.Errorf("%v", err)
	}
	if err := netns.Within(ns, func() error { panic("mine") }); err == nil || !strings.Contains(err.Error(), "mine") {
		t.Errorf("%v", err)
	}
}

// TestOpen finds a namespace by the process that a place was seen in, by another one when that is gone, and by no dead one.
func TestOpen(t *testing.T) {
	ns, n := scratch(t)
	if f, err := netns.Open(n); !errors.Is(err, netns.ErrGone) {
		t.Errorf("no process is in it, and it is opened as %v, %v", f, err)
	}
	sleeper := exec.Command("sleep", "60")
	if err := netns.Within(ns, sleeper.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait()
	})
	for name, pid := range map[string]int{"its process": sleeper.Process.Pid, "a process elsewhere": os.Getpid(), "none": 0} {
		n.PID = pid
		f, err := netns.Open(n)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f.Close()
	}
	if f, err := netns.OpenProcess(os.Getpid(), n); !errors.Is(err, netns.ErrGone) {
		t.Errorf("this process is not in it: %v, %v", f, err)
	}
}

// TestTableOfOthers leaves a table of our name alone that does not carry our mark, and removes one that does.
func TestTableOfOthers(t *testing.T) {
	nft, err := exec.LookPath("nft")
	if err != nil {
		if nft = "/usr/sbin/nft"; !exists(nft) {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	ns, n := scratch(t)
	sleeper := exec.Command("sleep", "60")
	if err := netns.Within(ns, sleeper.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait()
	})
	n.PID = sleeper.Process.Pid
	u := netns.NewUndo(prefix, faults.Owner{Run: "r", Injection: "i"})
	shell := func(script string) string {
		t.Helper()
		c := exec.Command(nft, "-f", "-")
		c.Stdin = strings.NewReader(script)
		var out strings.Builder
		c.Stdout, c.Stderr = &out, &out
		if err := errors.Join(netns.Within(ns, c.Start), c.Wait()); err != nil {
			t.Fatalf("%s: %v: %s", script, err, out.String())
		}
		return out.String()
	}
	ctx := context.Background()
	if err := u.Remove(ctx, faults.Place{Network: &n}); err != nil {
		t.Errorf("there is none: %v", err)
	}
	for name, rules := range map[string]string{
		"no chain": "", "no rule": "chain c {\n}", "no comment": "chain c {\ncounter\n}",
		"another's": "chain c {\ncounter comment \"" + u.Mark + "\"\ncounter comment \"gameday run other injection i\"\n}",
	} {
		shell("table inet " + u.Table + " {\n" + rules + "\n}\n")
		before := shell("list ruleset")
		if err := u.Remove(ctx, faults.Place{Network: &n}); !errors.Is(err, faults.ErrForeign) {
			t.Errorf("%s: removing it says %v", name, err)
		}
		if after := shell("list ruleset"); after != before {
			t.Errorf("%s: before\n%s\nafter\n%s", name, before, after)
		}
		shell("delete table inet " + u.Table)
	}
	shell("table inet " + u.Table + " {\nchain c {\ncounter comment \"" + u.Mark + "\"\n}\n}\ntable inet other {\n}\n")
	if err := u.Remove(ctx, faults.Place{Network: &n}); err != nil {
		t.Error(err)
	}
	if left := shell("list ruleset"); strings.Contains(left, u.Table) || !strings.Contains(left, "inet other") {
		t.Errorf("left: %s", left)
	}
}

func exists(path string) bool {
	_, err := os.Stat(filepath.Clean(path))
	return err == nil
}
