package vm

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/bound"
)

// roleVariable makes the test binary be another process: one that starts a machine and is killed.
const roleVariable = "GAMEDAY_VM_TEST_ROLE"

// TestDeath kills a process that has a machine: qemu ends with it, and the next machine removes its folder.
func TestDeath(t *testing.T) {
	if os.Getenv(roleVariable) == "victim" {
		m := Start(t, Options{})
		fmt.Printf("victim: %s\n", m.dir)
		<-t.Context().Done()
		return
	}
	Need(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	victim := exec.Command(self, "-test.run", "^TestDeath$", "-test.v")
	victim.Env = append(os.Environ(), roleVariable+"=victim")
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bound.Start(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var dir string
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		_, dir, _ = strings.Cut(lines.Text(), "victim: ")
	}
	if dir == "" {
		t.Fatalf("the victim had no machine: %v", victim.Wait())
	}
	if pids := qemuOf(t, dir); len(pids) != 1 {
		t.Errorf("qemu of the victim's machine: %v, want one", pids)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	eventually(t, 10*time.Second, func() error {
		if pids := qemuOf(t, dir); len(pids) > 0 {
			return fmt.Errorf("qemu is still there: %v", pids)
		}
		return nil
	})
	other, release, err := makeFolder()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the dead machine's folder: %v", err)
	}
	if _, release, err := makeFolder(); err != nil {
		t.Error(err)
	} else {
		release()
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("the folder of a living machine was removed: %v", err)
	}
}

// qemuOf returns the processes whose command line names the folder.
func qemuOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && strings.Contains(string(line), dir) {
			pids = append(pids, filepath.Base(filepath.Dir(f)))
		}
	}
	return pids
}
