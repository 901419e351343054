package find

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestNoKernelThreads selects this machine's processes in every way that could reach a thread of the kernel's own: by its user,
// by a pidfile that names it, by its cgroup.
func TestNoKernelThreads(t *testing.T) {
	const kthreadd = 2 // on every Linux, as far as the process namespace shows it
	name, err := os.ReadFile("/proc/2/comm")
	if err != nil || strings.TrimSpace(string(name)) != "kthreadd" {
		if os.Getenv("CI") != "" {
			t.Fatalf("pid 2 is %q here, %v", name, err)
		}
		t.Skip("the kernel's threads are not seen from here")
	}
	file := t.TempDir() + "/pid"
	if err := os.WriteFile(file, []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, s := range map[string]Process{"user": {User: "root"}, "pidfile": {PIDFile: file}, "number": {User: "0", PIDFile: file}} {
		r, err := Processes(context.Background(), &s, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Found {
			if pid := f.Place.Process.PID; pid == kthreadd || parent(t, pid) == kthreadd {
				t.Errorf("%s: pid %d is the kernel's: %s", what, pid, f.Text)
			}
		}
	}
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0 // it has ended
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	ppid, err := strconv.Atoi(strings.Fields(rest)[1])
	if err != nil {
		t.Fatal(err)
	}
	return ppid
}
