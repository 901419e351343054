package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/internal/scriptrig"
)

// nodeInit is the first process of a node: its own /proc, host name, and a disk of its own on dir.
func nodeInit(dir string) int {
	err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""),
		unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"),
		unix.Sethostname([]byte("ledger")))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("up")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// startNode boots a node with a disk of its own on the scene's folder, and returns a function that takes its power away.
func (s *scene) startNode() (init faults.Process, off func()) {
	s.t.Helper()
	cmd := role(s.t, "init", s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID |
		unix.CLONE_NEWIPC | unix.CLONE_NEWUTS}
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); errors.Is(err, unix.EPERM) && os.Getenv("CI") == "" {
		s.t.Skipf("no namespaces can be made here: %v; run this test as root", err)
	} else if err != nil {
		s.t.Fatal(err)
	}
	off = func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	s.t.Cleanup(off)
	line := make([]byte, 200)
	n, err := out.Read(line)
	if string(line[:n]) != "up\n" {
		s.t.Fatalf("the node does not come up: %s, %v", line[:n], err)
	}
	st, err := readStat(cmd.Process.Pid)
	if err != nil {
		s.t.Fatal(err)
	}
	return faults.Process{PID: cmd.Process.Pid, Start: st.start}, off
}

// TestInANode runs every command inside a node: its network, mounts, processes and name are the node's, this process's
// are as they were, and nothing is left there.
func TestInANode(t *testing.T) {
	home, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", os.Getppid()))
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t)
	init, off := s.startNode()
	s.place.Node = &faults.Node{Name: "ledger", BootID: "b", Init: init}
	s.config.Inject = script("{ hostname; readlink /proc/self/ns/net /proc/self/ns/mnt /proc/self/ns/pid /proc/self/ns/ipc; cat /proc/1/cmdline; } > mark")
	s.config.Effect = script("test -e mark && echo $$")
	in, e := s.inject()
	inside := filepath.Join(fmt.Sprintf("/proc/%d/root", init.PID), s.dir, "mark")
	got, err := os.ReadFile(inside)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(got), "\n")
	if lines[0] != "ledger" {
		t.Errorf("host name %q", lines[0])
	}
	for i, ns := range []string{"net", "mnt", "pid", "ipc"} {
		want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", init.PID, ns))
		if err != nil || lines[i+1] != want {
			t.Errorf("%s namespace %s, want the node's, %s (%v)", ns, lines[i+1], want, err)
		}
	}
	if !bytes.Contains([]byte(lines[5]), []byte(s.dir)) {
		t.Errorf("process 1 is %q, want the node's", lines[5])
	}
	if s.has("mark") {
		t.Error("the node's file is on this machine's disk")
	}
	effect, err := in.Effect(t.Context())
	if err != nil || !effect.Proven || len(effect.Summary) > 3 {
		t.Errorf("effect %+v, %v: want a small process number, as in a new process namespace", effect, err)
	}
	s.revert(e)
	if _, err := os.Stat(inside); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the revert: %v", err)
	}
	threads, err := filepath.Glob("/proc/self/task/*/ns/mnt")
	if err != nil || len(threads) == 0 {
		t.Fatal(threads, err)
	}
	within(t, "no thread of ours is in the node", func() bool {
		return !slices.ContainsFunc(threads, func(path string) bool {
			now, err := os.Readlink(path)
			return err == nil && now != home
		})
	})
	off()
	if err := faults.RevertEntry(t.Context(), []faults.Kind{Kind()}, e); err == nil || !strings.Contains(err.Error(), "run it by hand") {
		t.Errorf("reverting on a node that is gone, here: %v", err)
	}
}

// TestKilledInANode hangs in a node: the group is killed from outside.
func TestKilledInANode(t *testing.T) {
	s := newScene(t)
	init, _ := s.startNode()
	s.place.Node = &faults.Node{Name: "ledger", BootID: "b", Init: init}
	s.config.Effect = nil // it would be looked at under the same limit before
	s.config.Inject, s.config.Timeout = script("sleep 300 & sleep 301"), "300ms"
	ctx := s.owned(t.Context())
	in, e, err := s.settle(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Inject(ctx, 0); err == nil || !strings.Contains(err.Error(), "killed with its process group") {
		t.Errorf("%v", err)
	}
	within(t, "all are gone", func() bool { return len(marked(t, testID)) == 0 })
	s.revert(s.limited(e, enough))
}

// TestMissingInANode finds out inside the node, not here.
func TestMissingInANode(t *testing.T) {
	s := newScene(t)
	init, _ := s.startNode()
	scriptrig.Write(t, filepath.Join(s.dir, "tool"), "#!/bin/sh\n")
	s.config.Revert = []string{filepath.Join(s.dir, "tool")}
	if _, _, err := s.settle(s.owned(t.Context())); err != nil {
		t.Errorf("on the machine, where the tool is: %v", err)
	}
	s.place.Node = &faults.Node{Name: "ledger", BootID: "b", Init: init}
	if _, _, err := s.settle(s.owned(t.Context())); err == nil || !strings.Contains(err.Error(), "no such program") {
		t.Errorf("on the node, where it is not: %v", err)
	}
	s.place.Node.Init.Start++
	if _, _, err := s.settle(s.owned(t.Context())); !errors.Is(err, errRestarted) {
		t.Errorf("on a node that was restarted: %v", err)
	}
}

// TestLabGone reverts a fault whose lab is gone: there is nowhere to run its revert command, and that is said.
func TestLabGone(t *testing.T) {
	for name, inside := range map[string]func(*scene, *faults.Entry, context.Context) context.Context{
		"its switchboard does not answer": func(s *scene, e *faults.Entry, ctx context.Context) context.Context {
			e.Place.Node = &faults.Node{Name: "ledger", BootID: "b", Init: faults.Process{PID: os.Getpid(), Start: 1}, Control: filepath.Join(s.dir, "control")}
			return ctx
		},
		"a process of it, told by who reverts": func(_ *scene, e *faults.Entry, ctx context.Context) context.Context {
			e.Place.Node = nil
			return faults.WithLabGone(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.config.Revert = script("touch reverted")
			_, e := s.inject()
			var note string
			ctx := inside(s, &e, faults.WithNote(t.Context(), func(text string) { note = text }))
			if err := faults.RevertEntry(ctx, []faults.Kind{Kind()}, e); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(note, "was not undone") || s.has("reverted") {
				t.Errorf("note %q, reverted here: %v", note, s.has("reverted"))
			}
		})
	}
}
