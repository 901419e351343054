package stress

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// A worker that dies is played before TestMain: only there is the first thread sure to be ours.
func init() {
	if os.Getenv(roleVariable) == "dying" {
		playDying()
	}
}

// playDying is a worker that stays as workers are for a moment while they die: its first thread is gone, and with that its
// command line, and what it took is still held, by another thread.
func playDying() {
	token := os.Args[1]
	named := make(chan struct{})
	go func() { // on another thread, as the first one is taken
		wearName(token)
		fd, err := bindName(token)
		fmt.Println(fd, err)
		close(named)
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	<-named
	_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // of this thread alone
}

// bindName takes a name that only one socket can have.
func bindName(token string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@" + token}); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// TestDyingWorker reverts while a worker is dying: the revert is over when the kernel has back what it held.
func TestDyingWorker(t *testing.T) {
	token, err := newToken()
	if err != nil {
		t.Fatal(err)
	}
	cmd := selfAs("dying")
	cmd.Args = []string{workerName, token}
	in, errI := cmd.StdinPipe()
	out, errO := cmd.StdoutPipe()
	if err := errors.Join(errI, errO); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasSuffix(line, " <nil>\n") {
		t.Fatalf("it said %q, %v", line, err)
	}
	dir := fmt.Sprintf("/proc/%d", cmd.Process.Pid)
	eventually(t, patient, func() error {
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err == nil && len(line) > 0 {
			err = fmt.Errorf("it has its command line %q", line)
		}
		return err
	})
	if _, err := bindName(token); !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("it holds nothing: %v", err)
	}
	if err := endWorkers(t.Context(), token, false); err != nil {
		t.Fatal(err)
	}
	fd, err := bindName(token)
	if err != nil {
		t.Fatalf("after the revert: %v", err)
	}
	unix.Close(fd)
	if stat, err := os.ReadFile(filepath.Join(dir, "stat")); err != nil || !ended(stat) {
		t.Errorf("it waits to be reaped, and is %q, %v", stat, err)
	}
}

// TestShortName reads the name of a real worker where the kernel keeps it until the process is gone.
func TestShortName(t *testing.T) {
	c, e, _ := hold(t, request(t, "cpu_stress", CPU{Cores: 0.1}, faults.Place{Name: "here"}))
	u, err := readUndo(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range mustWorkers(t, e) {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if want := "gameday" + u.Token[:8] + "\n"; err != nil || string(name) != want {
			t.Errorf("worker %d is called %q, %v; want %q", pid, name, err, want)
		}
	}
	letGo(t, c, e)
}

// TestShowsWorker has a row for all that /proc may say of a process.
func TestShowsWorker(t *testing.T) {
	const token, other, comm = "0123456789abcdef", "fedcba9876543210", "gameday01234567\n"
	line := func(token string) string { return workerName + "\x00" + token + "\x00" }
	stat := func(state string, threads int) string {
		return fmt.Sprintf("7 (a) b) %s 1 7 7 0 -1 4194304 90 0 0 0 1 2 0 0 20 0 %d 0 4242 0 0 184", state, threads)
	}
	for name, row := range map[string]struct {
		line, comm, stat string
		want             bool
	}{
		"lives":                            {line(token), comm, stat("S", 9), true},
		"lives and has no short name":      {line(token), "exe\n", stat("S", 9), true},
		"another injection's":              {line(other), "gamedayfedcba98\n", stat("S", 9), false},
		"another program of that name":     {"vi\x00", comm, stat("S", 1), false},
		"dies and closes its files":        {"", comm, stat("R", 1), true},
		"dies and waits for a disk":        {"", comm, stat("D", 1), true},
		"its memory is taken back":         {"\x00\x00\x00", comm, stat("R", 2), true},
		"its first thread is gone":         {"", comm, stat("Z", 2), true},
		"waits to be reaped":               {"", comm, stat("Z", 1), false},
		"is just reaped":                   {"", comm, stat("X", 0), false},
		"another injection's, that dies":   {"", "gamedayfedcba98\n", stat("R", 1), false},
		"another program, that dies":       {"", "exe\n", stat("R", 1), false},
		"a thread of the kernel":           {"", "kthreadd\n", stat("S", 1), false},
		"dies, and its state is not known": {"", comm, "7 (a", true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{"cmdline": row.line, "comm": row.comm, "stat": row.stat} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := showsWorker(dir, token); got != row.want {
				t.Errorf("a worker: %v", got)
			}
		})
	}
	if showsWorker(filepath.Join(t.TempDir(), "gone"), token) {
		t.Error("a process that is gone is a worker")
	}
}
