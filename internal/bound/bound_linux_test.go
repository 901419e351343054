package bound

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// parentVariable makes the test binary start a program, say its pid, and stay.
const parentVariable = "GAMEDAY_BOUND_TEST_PARENT"

// The first thread never ends: no test is to run on it.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if os.Getenv(parentVariable) != "" {
		c := exec.Command("sleep", "100")
		if err := Start(c, syscall.SIGKILL); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(c.Process.Pid)
		_ = c.Wait()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestOutlivesTheThread starts a program from a thread that ends: no signal comes.
func TestOutlivesTheThread(t *testing.T) {
	c := exec.Command("sleep", "100")
	thread := 0
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		thread = unix.Gettid()
		failed <- Start(c, syscall.SIGKILL)
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	eventually(t, "the thread is gone", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread))
		return err != nil
	})
	if s := state(c.Process.Pid); s != "S" && s != "R" {
		t.Errorf("the program is in state %q", s)
	}
	_ = c.Process.Kill()
	_ = c.Wait()
}

// TestEndsWithTheProcess kills who started a program.
func TestEndsWithTheProcess(t *testing.T) {
	parent := exec.Command("/proc/self/exe")
	parent.Env = append(os.Environ(), parentVariable+"=yes")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var pid int
	if _, scan := fmt.Sscan(line, &pid); err != nil || scan != nil {
		t.Fatalf("%q, %v, %v", line, err, scan)
	}
	if s := state(pid); s != "S" && s != "R" {
		t.Errorf("the program is in state %q", s)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	eventually(t, "the program is gone", func() bool { return state(pid) == "" || state(pid) == "Z" })
}

// state reads the state of a process, empty when it is gone.
func state(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, ok := strings.Cut(string(stat), ") ")
	if err != nil || !ok {
		return ""
	}
	return rest[:1]
}

func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); !yes(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("it never came that %s", what)
		}
	}
}
