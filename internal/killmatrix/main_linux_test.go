package killmatrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/faults/stress"
)

// roleVariable makes the test binary play a part in an experiment instead of running tests.
const roleVariable = "GAMEDAY_KILLMATRIX_ROLE"

// The roles.
const (
	roleInit      = "init"      // pid 1 of a sandbox: starts the worker and reaps whoever is left
	roleWorker    = "worker"    // runs cells
	roleOutside   = "outside"   // makes a sandbox in a virtual machine
	roleAfter     = "after"     // looks at what a reboot has left
	roleConductor = "conductor" // stands for gameday: starts a guard, injects, renews, reverts when told
	roleGuard     = "guard"     // a real guard that stops at checkpoints
	roleRevert    = "revert"    // stands for gameday revert
	roleTarget    = "target"    // a process that does nothing
	roleFamily    = "family"    // a process with a child, that both do nothing
	roleHost      = "host"      // a network namespace's only process, which echoes
	roleLab       = "lab"       // a lab's switchboard with one node
	roleLeftover  = "leftover"  // a child that a leaky kind leaves behind
)

// The first thread stays the first goroutine's: one that enters another namespace ends with its goroutine, and the first
// thread of a process cannot end. It would keep that namespace alive.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if stress.IsWorker() { // the guard starts itself again to hold a load
		stress.RunWorker()
	}
	var err error
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	case roleOutside:
		cmd := sandboxCommand(os.TempDir())
		cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
		err = cmd.Run()
	case roleAfter:
		err = playAfter()
	case roleInit:
		os.Exit(playInit())
	case roleWorker:
		err = playWorker()
	case roleConductor:
		err = playConductor()
	case roleGuard:
		err = playGuard()
	case roleRevert:
		err = playRevert()
	case roleTarget, roleLeftover:
		err = playTarget()
	case roleFamily:
		err = playFamily()
	case roleHost:
		err = playHost()
	case roleRelay:
		err = playRelay()
	case roleLab:
		err = playLab()
	default:
		err = fmt.Errorf("no role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// as returns the test binary in a role.
func as(role string, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err) // /proc is gone: nothing can be tested
	}
	cmd := exec.Command(self, args...)
	// The race detector makes programs linger at their end, which would be measured as ours.
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// playInit is the first process of the sandbox's process namespace: with it, everything in the sandbox ends.
func playInit() int {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	cmd := as(roleWorker, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	groups := makeGroups()
	cmd.Env = append(cmd.Env, groupsVariable+"="+groups.list())
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := reap(cmd.Process.Pid)
	endStrays()
	if !groups.remove() {
		fmt.Fprintf(os.Stderr, "control groups cannot be removed: %s\n", groups.list())
		return 1
	}
	return code
}

// reap waits for whoever ends until the worker does, and returns its exit code.
func reap(worker int) int {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 1
		case pid == worker:
			return status.ExitStatus()
		}
	}
}

// endStrays kills what is left in the sandbox's process namespace, of which this is the first process.
func endStrays() {
	entries, err := os.ReadDir("/proc")
	if err != nil || os.Getpid() != 1 {
		return
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid > 1 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return // nobody is left
		}
	}
}

// furnish gives the sandbox mounts, a /proc and a loopback of its own.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	return loopbackUp()
}

// playGuard serves like cmd/gameday-guard, and stops at each checkpoint until the worker says "go".
func playGuard() error {
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ledger, err := faults.OpenLedger(os.Getenv(ledgerVariable))
	if err != nil {
		return err
	}
	gate, err := dialGate(os.Getenv(gateVariable))
	if err != nil {
		return err
	}
	return guard.Serve(ctx, os.Stdin, os.Stdout, guard.Options{Kinds: allKinds(), Ledger: ledger, Version: "matrix",
		Reach: func(_ string, at faults.Checkpoint) { gate.reach(at) }})
}

// playTarget is a process that says back what it is told, until its standard input ends.
func playTarget() error {
	fmt.Println("ready")
	_, err := io.Copy(os.Stdout, os.Stdin)
	return err
}

// awaitReady waits for a process to say that it is: while a program starts, it changes its own limits and descriptors.
func awaitReady(out io.Reader) error {
	line := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "ready\n" {
		return fmt.Errorf("a process said %q: %w", line, err)
	}
	return nil
}

// playFamily is a process with one child, which ends with its parent's end of the pipe between them.
func playFamily() error {
	child := as(roleTarget)
	in, err := child.StdinPipe()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	if err := awaitReady(out); err != nil {
		return err
	}
	return playTarget()
}

// playRevert reverts every orphan of the ledger as gameday revert does, and prints what became of each.
func playRevert() error {
	ledger, err := faults.OpenLedger(os.Getenv(ledgerVariable))
	if err != nil {
		return err
	}
	results, err := faults.RevertOrphans(context.Background(), ledger, allKinds(), nil)
	if err != nil {
		return err
	}
	var said []reverted
	for _, r := range results {
		one := reverted{ID: r.ID, Reverted: r.Reverted}
		if r.Err != nil {
			one.Err = r.Err.Error()
		}
		said = append(said, one)
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

// reverted is one faults.RevertResult as it is told to the worker.
type reverted struct {
	ID       string
	Reverted bool
	Err      string
}
