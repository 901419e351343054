package guard_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Bounds of the model's world.
const (
	modelWorkers = 8   // most of a sequence is waiting
	modelSteps   = "8" // of a sequence, on average
	modelFew     = 300 // sequences, unless told otherwise
	longLease    = 2 * time.Minute
	gonePatience = 5 * time.Second // for what should take a moment, on a machine that does much else
)

// TestModelInKernel plays random sequences on real guards, in processes of their own, with partitions in nftables, paused
// processes and marks in files. Two guards share a ledger; they are stopped, killed also in the middle of their work, and
// come to the end of their input; entries are torn. After every step the kernel and the ledger are compared with a model,
// and after every sequence nothing may be left. -rapid.checks says how many sequences, -rapid.seed which.
func TestModelInKernel(t *testing.T) {
	if os.Getenv(workerVariable) != "" {
		playInKernel(t)
		return
	}
	total, seed := modelFew, rand.Uint64N(1<<48)
	if n, err := strconv.Atoi(given("rapid.checks")); err == nil {
		total = n
	}
	if n, err := strconv.ParseUint(given("rapid.seed"), 10, 64); err == nil {
		seed = n
	}
	if testing.Short() {
		t.Skip("it takes a quarter of a minute")
	}
	began, steps := time.Now(), &stepCount{of: map[string]int{}}
	var workers sync.WaitGroup
	for i := range modelWorkers {
		checks := (total + i) / modelWorkers // they add up to the total
		if checks == 0 {
			continue
		}
		workers.Go(func() { runModelWorker(t, steps, checks, seed+uint64(i)<<48) })
	}
	workers.Wait()
	t.Logf("%d sequences, seed %d, in %v: %s", total, seed, time.Since(began).Round(time.Second), steps)
}

// workerVariable makes the test binary play sequences in a network namespace of its own.
const workerVariable = "GAMEDAY_GUARD_MODEL_WORKER"

func runModelWorker(t *testing.T, steps *stepCount, checks int, seed uint64) {
	self, err := os.Executable()
	if err != nil {
		t.Error(err)
		return
	}
	cmd := exec.Command(self, "-test.run=^TestModelInKernel$", "-test.v", "-test.timeout=30m", "-rapid.steps="+modelSteps,
		fmt.Sprintf("-rapid.checks=%d", checks), fmt.Sprintf("-rapid.seed=%d", seed), "-rapid.nofailfile")
	cmd.Env = append(os.Environ(), workerVariable+"=yes")
	runtime.LockOSThread() // Pdeathsig is about the thread
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		if os.Getenv("CI") != "" {
			t.Errorf("no network namespace can be made here: %v", err)
		}
		t.Logf("nothing was played: no network namespace can be made here: %v", err)
		return
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
		return
	}
	_, counts, said := strings.Cut(string(out), stepsMark)
	if !said {
		t.Errorf("a worker played nothing:\n%s", out)
	}
	counts, _, _ = strings.Cut(counts, "\n")
	for part := range strings.SplitSeq(counts, ", ") {
		i := strings.LastIndexByte(part, ' ')
		if i < 0 { // a few sequences may all be empty
			continue
		}
		n, err := strconv.Atoi(part[i+1:])
		if err != nil {
			t.Errorf("%v\n%s", err, out)
			return
		}
		steps.add(part[:i], n)
	}
}

// stepsMark comes before the numbers of a worker's steps.
const stepsMark = "steps: "

// stepCount is how often each command was played. Safe for concurrent use.
type stepCount struct {
	mu sync.Mutex
	of map[string]int
}

func (c *stepCount) add(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[name] += n
}

func (c *stepCount) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var said []string
	for _, name := range slices.Sorted(maps.Keys(c.of)) {
		said = append(said, fmt.Sprintf("%s %d", name, c.of[name]))
	}
	return strings.Join(said, ", ")
}

// playInKernel plays as many sequences as the flags say, in this process's network namespace.
func playInKernel(t *testing.T) {
	w := newKernelWorld(t)
	count := &stepCount{of: map[string]int{}}
	rapid.Check(t, func(rt *rapid.T) {
		m := newKernelModel(rt, w)
		defer m.end(rt)
		actions := map[string]func(*rapid.T){
			"inject": m.inject, "renew": m.renew, "revert": m.revert, "lease wait": m.leaseWait, "kill": m.kill,
			"kill amid inject": m.killAmidInject, "kill amid revert": m.killAmidRevert, "stop": m.stop,
			"end of file": m.endOfFile, "second guard": m.secondGuard, "orphans": m.revertOrphans, "torn": m.torn,
		}
		for name, act := range actions {
			actions[name] = func(t *rapid.T) {
				act(t)
				count.add(name, 1)
			}
		}
		actions["inject again"], actions["inject once more"] = actions["inject"], actions["inject"] // there is more to it
		actions[""] = m.check
		rt.Repeat(actions)
	})
	t.Log(stepsMark + count.String())
}
