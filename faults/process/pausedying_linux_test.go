package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// TestPauseDying kills a process that takes its time to end while it is paused: nobody has continued it, and that is not said.
func TestPauseDying(t *testing.T) {
	kills := map[string]func(pid int) error{
		"kill":        func(pid int) error { return unix.Kill(pid, unix.SIGKILL) },
		"cgroup.kill": func(pid int) error { return unix.Tgkill(pid, pid, unix.SIGKILL) }, // as the kernel does for that file: to one thread
	}
	for name, kill := range kills {
		t.Run(name, func(t *testing.T) {
			p, reap := undying(t)
			x, err := prescribe(t, Pause{}, p)
			if err != nil {
				t.Fatal(err)
			}
			x.inject()
			x.proven()
			if err := kill(p.PID); err != nil {
				t.Fatal(err)
			}
			until(t, "it is about to end", func() bool { return closed(p) })
			_, err = x.injection.(faults.Watcher).Watch(x.ctx)
			if want := fmt.Sprintf("pid %d was killed while it was paused", p.PID); !errors.Is(err, faults.ErrLapsed) || err.Error() != want {
				t.Errorf("watched: %v, want %q", err, want)
			}
			if !Alive(p) {
				t.Error("it has ended, so nothing was shown")
			}
			x.revert()
			reap()
			until(t, "it is gone", func() bool { return !Alive(p) })
		})
	}
}

// undying returns the first process of a process namespace, which does not end when it is killed until reap is called: the
// kernel has it wait for all others there, and the last one is a dead child of this test.
func undying(t *testing.T) (p faults.Process, reap func()) {
	t.Helper()
	first, other := exec.Command("cat"), exec.Command("true") // of one thread each: who has several may have lost the first one already
	first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	in, err := first.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = first.Process.Kill()
		_ = first.Wait()
	})
	if p, err = Identify(first.Process.Pid); err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread's children are in that namespace, and it ends with this goroutine
		fd, err := unix.PidfdOpen(p.PID, 0)
		if err == nil {
			defer unix.Close(fd)
			err = unix.Setns(fd, unix.CLONE_NEWPID)
		}
		if err == nil {
			err = other.Start()
		}
		started <- err
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	reap = func() { _ = other.Wait() }
	t.Cleanup(reap) // before the first one is waited for
	return p, reap
}

// closed reports whether a process has closed its files, which one that ends does early, and has not ended.
func closed(p faults.Process) bool {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID))
	return err == nil && len(files) == 0
}
