package main

import (
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testRole makes the test program burn processor time, or start itself again.
const testRole = "GAMEDAY_BENCH_TEST"

// burned is the processor time of one burner.
const burned = 100 * time.Millisecond

func TestMain(m *testing.M) {
	switch os.Getenv(testRole) {
	case "burn":
		burn()
	case "wait": // burn, and wait for one that burns
		burn()
		if err := again("burn").Run(); err != nil {
			os.Exit(1)
		}
	case "leave": // start one that burns, and leave it behind
		if err := again("burn").Start(); err != nil {
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

func again(role string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = []string{testRole + "=" + role}
	return c
}

// burn computes until this process has used its share of processor time.
func burn() {
	var r unix.Rusage
	for unix.Getrusage(unix.RUSAGE_SELF, &r) == nil {
		if time.Duration(r.Utime.Nano()+r.Stime.Nano()) > burned {
			return
		}
	}
}

// TestMeasureCountsTheWholeTree proves what the overhead rests on: that the time of grandchildren is counted, whether
// their parents waited for them or not.
func TestMeasureCountsTheWholeTree(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		role   string
		least  time.Duration
		strays int
	}{
		{role: "burn", least: burned},
		{role: "wait", least: 2 * burned},
		{role: "leave", least: burned, strays: 1},
	}
	b := &bench{log: io.Discard, helpers: map[int]bool{}}
	for _, tt := range tests {
		t.Run(tt.role, func(t *testing.T) {
			k, err := b.measure(t.Context(), again(tt.role))
			if err != nil {
				t.Fatal(err)
			}
			if k.cpu < tt.least || k.cpu > tt.least+10*burned {
				t.Errorf("%s of processor time, want %s and little more", k.cpu, tt.least)
			}
			if k.strays != tt.strays {
				t.Errorf("%d processes were not waited for, want %d", k.strays, tt.strays)
			}
		})
	}
}

func TestMeasureLeavesHelpersAlone(t *testing.T) {
	b := &bench{log: io.Discard, helpers: map[int]bool{}}
	helper := exec.Command("cat")
	input, err := helper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	b.helpers[helper.Process.Pid] = true
	k, err := b.measure(t.Context(), again("burn"))
	if err != nil {
		t.Fatal(err)
	}
	if k.strays != 0 {
		t.Errorf("%d strays, want none: a helper is no part of what is measured", k.strays)
	}
	input.Close()
	if err := helper.Wait(); err != nil {
		t.Errorf("the helper was taken away: %v", err)
	}
}

func TestPeakAndChildren(t *testing.T) {
	c := exec.Command("cat")
	input, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	children, err := childrenOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, pid := range children {
		found = found || pid == c.Process.Pid
	}
	if !found {
		t.Errorf("children %v lack %d", children, c.Process.Pid)
	}
	if own := peakOf(os.Getpid()); own < 1<<20 || own > 1<<40 {
		t.Errorf("this program's peak is %d bytes, which cannot be", own)
	}
	input.Close()
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if gone := peakOf(c.Process.Pid); gone != 0 {
		t.Errorf("the peak of a process that is gone is %d", gone)
	}
}
