package dockerrig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gameday/internal/bound"
)

const (
	startLimit = 60 * time.Second // until the daemon answers
	stopLimit  = 20 * time.Second // from SIGTERM until it is killed
	sweepLimit = 5 * time.Second  // for processes in a control group to be gone
	pollStep   = 20 * time.Millisecond
)

// Programs are what the rig runs, in Debian's package docker.io.
var Programs = []string{"dockerd", "containerd", "runc"}

// Options of an engine.
type Options struct {
	// Dir is an empty folder for all of the engine's files. Its path is short: a socket's path has at most 107 bytes.
	Dir string
	// Joined leaves the daemon in the network namespace of its parent, which is one of its own already.
	Joined bool
}

// Engine is a running daemon.
type Engine struct {
	Host   string // "unix:///…/docker.sock", as DOCKER_HOST has it
	Socket string // path of the socket
	PID    int    // of dockerd
	dir    string
	cmd    *exec.Cmd
	ended  chan struct{}
	ran    error // valid after ended
}

// Missing returns why an engine cannot run here, or nil.
func Missing() error {
	if os.Geteuid() != 0 {
		return errors.New("a Docker Engine of its own needs root")
	}
	for _, p := range Programs {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("needs the program %s (Debian package docker.io; tools/setup installs it)", p)
		}
	}
	return nil
}

// Start starts a daemon and returns when it answers. The caller must Close it; it also ends with this process, or with the
// thread that called, if it has that one's network namespace.
func Start(ctx context.Context, o Options) (*Engine, error) {
	if err := Missing(); err != nil {
		return nil, fmt.Errorf("starting a Docker Engine: %w", err)
	}
	e := &Engine{dir: o.Dir, Socket: filepath.Join(o.Dir, "s"), ended: make(chan struct{})}
	e.Host = "unix://" + e.Socket
	// The machine's own daemon.json is not for this one.
	if err := os.WriteFile(filepath.Join(o.Dir, "daemon.json"), []byte("{}\n"), 0o600); err != nil {
		return nil, fmt.Errorf("starting a Docker Engine: %w", err)
	}
	log, err := os.Create(filepath.Join(o.Dir, "dockerd.log"))
	if err != nil {
		return nil, fmt.Errorf("starting a Docker Engine: %w", err)
	}
	defer log.Close()
	// A /run of its own keeps the sockets of containerd's shims off the machine's.
	e.cmd = exec.Command("sh", "-c", `mount -t tmpfs -o size=64m tmpfs /run && exec "$0" "$@"`,
		"dockerd", "--data-root", filepath.Join(o.Dir, "data"), "--exec-root", filepath.Join(o.Dir, "exec"),
		"--host", e.Host, "--pidfile", filepath.Join(o.Dir, "pid"), "--config-file", filepath.Join(o.Dir, "daemon.json"),
		"--storage-driver", "vfs", "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", cgroupOf(o.Dir),
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--shutdown-timeout", "1")
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.cmd.Env = append(os.Environ(), "DOCKER_TMPDIR="+o.Dir, "TMPDIR="+o.Dir)
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Setpgid: true, Pdeathsig: syscall.SIGTERM}
	start := e.cmd.Start
	if !o.Joined {
		e.cmd.SysProcAttr.Unshareflags |= syscall.CLONE_NEWNET
		start = func() error { return bound.Start(e.cmd, syscall.SIGTERM) }
	}
	if err := start(); err != nil {
		return nil, fmt.Errorf("starting a Docker Engine: %w", err)
	}
	e.PID = e.cmd.Process.Pid
	go func() {
		e.ran = e.cmd.Wait()
		close(e.ended)
	}()
	if err := e.awaitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a Docker Engine: %w; its log ends with:\n%s", err, e.Log()), e.Close())
	}
	return e, nil
}

// awaitReady returns when the daemon answers.
func (e *Engine) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return Poll(ctx, func() (bool, error) {
		select {
		case <-e.ended:
			return false, fmt.Errorf("dockerd ended: %w", e.ran)
		default:
		}
		return e.Call(ctx, "GET", "/_ping", nil, nil) == nil, nil
	})
}

// Log returns the end of the daemon's log.
func (e *Engine) Log() string {
	text, err := os.ReadFile(filepath.Join(e.dir, "dockerd.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// Close removes every container, ends the daemon by its pid, and removes its control groups and files. It may be called
// more than once.
func (e *Engine) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var all []struct{ ID string }
	if e.Call(ctx, "GET", "/containers/json?all=1", nil, &all) == nil {
		for _, c := range all {
			_ = e.Call(ctx, "DELETE", "/containers/"+c.ID+"?force=1&v=1", nil, nil) // the daemon's end ends it as well
		}
	}
	return errors.Join(e.end(), Sweep(e.dir))
}

// Sweep removes the control groups and the files of an engine that has ended. A process that is being killed keeps its group for a moment, for
// which it waits. The files stay as long as a group does: by them whoever comes next knows of it.
func Sweep(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), sweepLimit)
	defer cancel()
	var held error
	if err := Poll(ctx, func() (bool, error) {
		held = removeCgroups(cgroupOf(dir))
		return held == nil, nil
	}); err != nil {
		return held
	}
	return os.RemoveAll(dir)
}

// cgroupOf returns the control group that holds those of an engine's containers.
func cgroupOf(dir string) string { return "/gameday-" + filepath.Base(dir) }

// end ends the daemon: by asking, then by force. Its containerd and the shims, which are in its process group or were made
// by containerd, end with it; those that a killed daemon leaves are found by the folder they work in.
func (e *Engine) end() error {
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	force := time.NewTimer(stopLimit)
	defer force.Stop()
	select {
	case <-e.ended:
	case <-force.C:
		_ = e.cmd.Process.Kill()
		<-e.ended
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	return Poll(ctx, func() (bool, error) {
		left := e.left()
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(left) == 0, nil
	})
}

// left returns the processes that have the engine's folder in their command lines, but for this one: containerd, shims, and
// what runc left.
func (e *Engine) left() []int {
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var out []int
	for _, path := range entries {
		line, err := os.ReadFile(path)
		args := strings.Split(string(line), "\x00")
		exe := filepath.Base(args[0])
		if err != nil || !slices.ContainsFunc(args[1:], func(a string) bool { return strings.HasPrefix(a, e.dir+"/") }) {
			continue
		}
		if !strings.HasPrefix(exe, "containerd") && exe != "dockerd" && exe != "runc" {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/", &pid); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// removeCgroups removes the control groups below and at a path, in every hierarchy, deepest first.
func removeCgroups(group string) error {
	roots, _ := filepath.Glob("/sys/fs/cgroup/*" + group)
	roots = append(roots, "/sys/fs/cgroup"+group)
	var errs []error
	for _, root := range roots {
		var all []string
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		for _, path := range slices.Backward(all) {
			if err := syscall.Rmdir(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("removing %s: %w", path, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Poll asks until done, an error, or the end of ctx.
func Poll(ctx context.Context, ask func() (done bool, err error)) error {
	t := time.NewTicker(pollStep)
	defer t.Stop()
	for {
		if done, err := ask(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
