package dockerrig

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestSweepWaits sweeps what an engine left while a process is still in its control group: nothing of it is lost sight of, and once the process
// is gone nothing is left.
func TestSweepWaits(t *testing.T) {
	dir, err := os.MkdirTemp("", "gd-sweep-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	group := groupOf(t, filepath.Base(dir))
	c := exec.Command("sleep", "100")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Process.Kill(), c.Wait() })
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(c.Process.Pid)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(dir); err == nil || !strings.Contains(err.Error(), group) {
		t.Errorf("with a process in its group: %v", err)
	}
	for _, path := range []string{dir, group} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("with a process in its group: %v", err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- Sweep(dir) }()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, path := range []string{dir, group} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

// groupOf makes the control group of an engine with such a folder, and returns where it is.
func groupOf(t *testing.T, name string) string {
	t.Helper()
	var why error
	for _, parent := range []string{"/sys/fs/cgroup/freezer", "/sys/fs/cgroup"} {
		group := filepath.Join(parent, "gameday-"+name)
		if why = os.Mkdir(group, 0o755); why == nil {
			t.Cleanup(func() { _ = os.Remove(group) })
			return group
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}
