package child

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/loadgen"
)

const (
	// parentVariable makes the test binary a process that starts a child; its log goes to the folder.
	parentVariable = "GAMEDAY_TEST_CHILD_PARENT"
	testBeat       = 100 * time.Millisecond
)

// The test binary is a child too, and a process that starts one and is stopped.
func TestMain(m *testing.M) {
	switch {
	case Role() != "":
		actAsChild()
	case os.Getenv(parentVariable) != "":
		actAsParent(os.Getenv(parentVariable))
	}
	os.Exit(m.Run())
}

// actAsChild does nothing until its parent is gone or silent, and says so.
func actAsChild() {
	beat = testBeat
	v, err := Speak()
	if err != nil {
		panic(err)
	}
	now := time.Now()
	v.Send(Event{Ready: &now})
	v.Hear(func(Command) {}, 1, func() {
		v.Send(Event{End: &Ending{Reason: EndOrphan}})
		os.Exit(0)
	})
}

// actAsParent follows a child, and prints its process id and how it ended.
func actAsParent(dir string) {
	beat = testBeat
	log, err := OpenLog(filepath.Join(dir, "log"))
	if err != nil {
		panic(err)
	}
	p, err := Start{Engine: "test", Log: log}.Run()
	if err != nil {
		panic(err)
	}
	f := &Follower{Subject: "it", SetupWithin: time.Minute, EndWithin: time.Minute,
		Spec: loadgen.Spec{Ready: func() { fmt.Println(p.cmd.Process.Pid) }}}
	fmt.Println(f.Follow(context.Background(), p))
	os.Exit(0)
}

// TestSilentParent stops a parent: its child ends, and the parent says so when it goes on. Both stopped together, as a machine is
// that sleeps, go on together.
func TestSilentParent(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"="+t.TempDir())
	pipe, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer parent.Wait()
	defer parent.Process.Kill()
	out := bufio.NewReader(pipe)
	pid := 0
	if _, err := fmt.Fscanln(out, &pid); err != nil {
		t.Fatal(err)
	}
	send := func(pid int, s syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(pid, s); err != nil {
			t.Fatal(err)
		}
	}
	send(pid, syscall.SIGSTOP)
	send(parent.Process.Pid, syscall.SIGSTOP)
	<-time.After(2 * missable * testBeat)
	send(pid, syscall.SIGCONT)
	send(parent.Process.Pid, syscall.SIGCONT)
	<-time.After(2 * missable * testBeat)
	if ended(pid) {
		t.Fatal("a child ended that was stopped together with its parent")
	}

	send(parent.Process.Pid, syscall.SIGSTOP)
	tick := time.NewTicker(testBeat)
	defer tick.Stop()
	for n := 0; !ended(pid); n++ {
		if <-tick.C; n > 10*missable {
			t.Fatal("a child goes on whose parent is stopped")
		}
	}
	send(parent.Process.Pid, syscall.SIGCONT)
	said, err := out.ReadString('\n')
	if want := "running it: it heard nothing of the gameday"; err != nil || !strings.HasPrefix(said, want) {
		t.Errorf("the parent says %q (%v), want %q …", said, err, want)
	}
}

// ended reports whether a process is gone, or only waits for its parent to take note.
func ended(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return err != nil || strings.HasPrefix(rest, "Z")
}
