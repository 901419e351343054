package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/dockerrig"
)

// TestWorld brings the world up around a command, and finds nothing of it afterwards: when the command ends, and when the
// whole is killed.
func TestWorld(t *testing.T) {
	if err := dockerrig.Missing(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	bin, tmp := t.TempDir(), shortDir(t)
	build := exec.Command("go", "build", "-o", bin+"/", "gameday/examples/shop-containers", "gameday/examples/shop/cmd/shop", "gameday/examples/oncall")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	world := func(script string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, "shop-containers"), "sh", "-c", script)
		c.Env = append(os.Environ(), "TMPDIR="+tmp)
		return c
	}
	t.Run("ends with its command's code", func(t *testing.T) {
		out, err := world(`echo "$DOCKER_HOST $GAMEDAY_LEDGER"; cat /etc/hosts; exit 7`).CombinedOutput()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 7 || !strings.Contains(string(out), "198.18.41.11 payments") {
			t.Errorf("%v: %s", err, out)
		}
		left(t, tmp)
	})
	t.Run("killed", func(t *testing.T) {
		c := world("echo up; exec sleep 100")
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "up\n" {
			t.Errorf("%q, %v", line, err)
		}
		if err := c.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := dockerrig.Poll(ctx, func() (bool, error) { return len(processes(tmp)) == 0, nil }); err != nil {
			t.Errorf("processes %v are left: %v", processes(tmp), err)
		}
		// Files and empty control groups stay until the next world.
		if err := world("true").Run(); err != nil {
			t.Error(err)
		}
		left(t, tmp)
	})
}

// shortDir is a folder whose path leaves room for that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "gdw-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// left reports what a world left behind: processes, mounts, files, control groups.
func left(t *testing.T, tmp string) {
	t.Helper()
	if p := processes(tmp); len(p) > 0 {
		t.Errorf("processes: %v", p)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), tmp) {
		t.Errorf("mounts: %v\n%s", err, mounts)
	}
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/gameday-gd-shop-*")
	more, _ := filepath.Glob("/sys/fs/cgroup/gameday-gd-shop-*")
	if groups = append(groups, more...); len(groups) > 0 {
		t.Errorf("control groups: %v", groups)
	}
	if files, err := os.ReadDir(tmp); err != nil || len(files) > 0 {
		t.Errorf("files: %v, %v", files, err)
	}
}

// processes returns the command lines of the processes that name a folder.
func processes(dir string) []string {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var out []string
	for _, path := range paths {
		if line, err := os.ReadFile(path); err == nil && strings.Contains(string(line), dir) {
			out = append(out, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return out
}
