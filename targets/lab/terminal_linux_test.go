package lab

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gameday/internal/bound"
)

// openTerminal returns both ends of a new pseudo terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no pseudo terminals here: ", err)
		}
		t.Skip("no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	err = raw.Control(func(fd uintptr) {
		if err := unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err != nil {
			t.Fatal(err)
		}
		if n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err != nil {
			t.Fatal(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func TestControlCReachesTheConductorOnce(t *testing.T) {
	asEach(t, func(t *testing.T, u user) {
		master, slave := openTerminal(t)
		dir := u.folder(t)
		r := &rig{t: t, dir: dir, outer: u.command(t, dir)}
		r.outer.Stdin, r.outer.Stdout, r.outer.Stderr = slave, slave, slave
		r.outer.SysProcAttr.Setsid, r.outer.SysProcAttr.Setctty = true, true
		if err := bound.Start(r.outer, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		slave.Close()
		defer r.outer.Process.Kill()
		go io.Copy(io.Discard, master)

		eventually(t, 10*time.Second, "the conductor sees a terminal", func() bool {
			return strings.Contains(r.notes(), "conductor began, terminal true\n")
		})
		for i := 1; i <= 3; i++ {
			if _, err := master.Write([]byte{3}); err != nil { // what Ctrl-C types
				t.Fatal(err)
			}
			eventually(t, 5*time.Second, "the conductor got Ctrl-C", func() bool {
				return strings.Count(r.notes(), "signal interrupt\n") >= i
			})
		}
		if err := r.outer.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := r.outer.Wait(); err == nil || r.outer.ProcessState.ExitCode() != 42 {
			t.Errorf("the outer process ended with %v, want the conductor's 42", err)
		}
		// SIGTERM came after any second copy of the interrupts would have.
		if n := strings.Count(r.notes(), "signal interrupt\n"); n != 3 {
			t.Errorf("the conductor got %d interrupts from 3; notes:\n%s", n, r.notes())
		}
	})
}
