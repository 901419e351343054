package find

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"gameday/internal/scriptrig"
)

// TestMain makes the test binary, under a container runtime's name, a container's program, which waits for its end.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "runc" {
		os.Exit(m.Run())
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	<-end
}

// TestContainerBegins looks at a container that has been made and whose program does not run yet: its first process is the
// runtime's own, and is not taken for it. The program is one that has the runtime's name and arguments itself, and is found.
func TestContainerBegins(t *testing.T) {
	c := create(t)
	now, cancel := context.WithCancel(t.Context())
	cancel()
	f, err := Container(now, c.pid, c.id)
	if err != nil {
		t.Fatal(err)
	}
	p := f.Place.Process
	if p == nil || p.PID != c.pid || p.Start == 0 || p.Exe != "" || p.Command != "" || f.Text != fmt.Sprintf("pid %d, whose program does not run yet", c.pid) {
		t.Errorf("before it begins: %q, %+v", f.Text, p)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	started := make(chan error, 1)
	go func() { started <- c.runc("start", c.id) }()
	f, err = Container(ctx, c.pid, c.id)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if q := f.Place.Process; q.Exe != "/runc" || q.Command != "/runc init" || f.Text != fmt.Sprintf("pid %d /runc init", c.pid) || q.Start != p.Start {
		t.Errorf("when it begins: %q, %+v", f.Text, q)
	}
}

// TestForked takes a program that was forked, and has become no other since, for what it is, as it takes one that was restored from
// a checkpoint: what it executes is from where it is.
func TestForked(t *testing.T) {
	cmd := exec.Command("sh", "-c", `exec 3<&0; (read -r line) <&3 & echo $!; wait`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	p, err := procfs.NewProc(pid)
	if err != nil {
		t.Fatal(err)
	}
	if stat, err := p.Stat(); err != nil || stat.Flags&forkedFlag == 0 {
		t.Fatalf("it was not forked: %+v, %v", stat, err)
	}
	now, cancel := context.WithCancel(t.Context())
	cancel()
	if !begun(now, p) {
		t.Errorf("pid %d is taken for a container's runtime", pid)
	}
}

// TestBegunAndEnded does not wait for the program of one that has ended, whether it is still to be reaped or is gone.
func TestBegunAndEnded(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	p, err := procfs.NewProc(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Waitid(unix.P_PID, p.PID, nil, unix.WEXITED|unix.WNOWAIT, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"is to be reaped", "is gone"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if known := begun(ctx, p); !known || ctx.Err() != nil {
			t.Errorf("one that %s is waited for: %v, %v", what, known, ctx.Err())
		}
		_ = cmd.Wait()
	}
}

// bundle is a container of runc's, without an engine.
type bundle struct {
	dir, id string
	pid     int
}

// runc calls the runtime. Whatever a container's first process inherits stays open, so that its output goes to a file.
func (b bundle) runc(args ...string) error {
	said, err := os.Create(filepath.Join(b.dir, "said"))
	if err != nil {
		return err
	}
	defer said.Close()
	cmd := exec.Command("runc", append([]string{"--root", filepath.Join(b.dir, "state")}, args...)...)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		return fmt.Errorf("runc %s: %w: %s", args[0], err, text)
	}
	return nil
}

// create makes a container, which waits to be told to start.
func create(t *testing.T) bundle {
	t.Helper()
	_, missing := exec.LookPath("runc")
	if os.Geteuid() != 0 || missing != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("a container cannot be made here, as user %d: %v", os.Geteuid(), missing)
		}
		t.Skip("a container cannot be made here")
	}
	b := bundle{dir: t.TempDir(), id: fmt.Sprintf("gameday-find-%d", os.Getpid())}
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if f, err := elf.NewFile(bytes.NewReader(program)); err != nil || slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Fatalf("the test cannot run in an empty container: build it with CGO_ENABLED=0; %v", err)
	}
	config, err := json.Marshal(map[string]any{
		"ociVersion": "1.0.2",
		"root":       map[string]any{"path": "rootfs"},
		"process":    map[string]any{"args": []string{"/runc", "init"}, "cwd": "/", "user": map[string]any{}},
		"mounts":     []map[string]any{{"destination": "/proc", "type": "proc", "source": "proc"}},
		"linux": map[string]any{"cgroupsPath": "/" + b.id,
			"namespaces": []map[string]any{{"type": "pid"}, {"type": "mount"}, {"type": "network"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(b.dir, "rootfs", "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"config.json": config, "rootfs/runc": program} {
		scriptrig.Write(t, filepath.Join(b.dir, name), string(text))
	}
	t.Cleanup(func() {
		if err := b.runc("delete", "--force", b.id); err != nil {
			t.Error(err)
		}
	})
	pid := filepath.Join(b.dir, "pid")
	if err := b.runc("create", "--bundle", b.dir, "--pid-file", pid, b.id); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(pid)
	if err == nil {
		b.pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}
