package stress

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"gameday/faults"
	"gameday/faults/guard"
)

// startNode starts a process that has a file system of 16 MB at dir, in mounts of its own, as a node of a lab has. It
// returns the node, and what ends it.
func startNode(t *testing.T, dir string) (faults.Node, func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `mount -t tmpfs -o size=16m tmpfs "$1" && echo ready && exec cat`, "node", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	runtime.LockOSThread() // Pdeathsig is about the thread
	t.Cleanup(runtime.UnlockOSThread)
	if err := cmd.Start(); err != nil {
		cannot(t, "no mount namespace can be made here: %v", err)
	}
	ended := make(chan struct{})
	end := func() {
		_ = in.Close()
		<-ended
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	go func() {
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(end)
	if line != "ready\n" {
		cannot(t, "nothing can be mounted here: %q", line)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, start, err := statIdentity(stat)
	if err != nil {
		t.Fatal(err)
	}
	return faults.Node{Name: "n", Control: "/run/gameday-lab/control", BootID: "b",
		Init: faults.Process{PID: cmd.Process.Pid, Start: start}}, end
}

// TestDiskOfANode fills the file system that a node has at a path, and not the guard's own at that path; it goes with the node.
func TestDiskOfANode(t *testing.T) {
	dir := smallDisk(t)
	node, end := startNode(t, dir)
	place := faults.Place{Name: "n", Node: &node}
	on := filepath.Join(fmt.Sprintf("/proc/%d/root", node.Init.PID), dir)
	free := func(path string) uint64 {
		s, err := readSpace(path)
		if err != nil {
			t.Fatal(err)
		}
		return s.free
	}
	own := free(dir)
	config := Disk{Path: dir, Leave: "3MB", Reserve: "1MB"}
	c, e, effect := hold(t, request(t, "disk_fill", config, place))
	if left := free(on); left > 3e6 || left < 2e6 {
		t.Errorf("%d bytes are left on the node, want 3 MB: %s", left, effect.Summary)
	}
	if free(dir) != own {
		t.Errorf("%d bytes are left of the guard's own file system, %d were", free(dir), own)
	}
	letGo(t, c, e)
	if left := free(on); left < 15<<20 {
		t.Errorf("%d bytes are free on the node afterwards", left)
	}

	c, e, _ = hold(t, request(t, "disk_fill", config, place))
	end()
	event := awaitEvent(t, c)
	if event.Type == guard.EventResidue {
		t.Errorf("the node ended, and %+v", event)
	}
	if err := traces(e); err != nil {
		t.Error(err)
	}
	for kind, config := range map[string]any{"disk_fill": config, "io_stress": IO{Path: dir, Reserve: "1MB"}} {
		if _, err := c.Inject(t.Context(), request(t, kind, config, place)); err == nil || !strings.Contains(err.Error(), "restarted since") {
			t.Errorf("%s on a node that is gone: %v", kind, err)
		}
	}
}
