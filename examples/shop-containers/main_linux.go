// Command shop-containers runs a command beside the shop in containers: a Docker Engine of its own with a container for each
// service, all of it in network, process and mount namespaces of its own.
//
//	shop-containers bin/gameday run examples/shop-containers/containers.hcl
//
// No image comes from elsewhere: each is made from scratch of the shop's own programs, which are searched beside this one.
// Nothing is left of it when the command has ended, however it has: if this program dies, the kernel ends the rest.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"gameday/internal/dockerrig"
)

// worldVariable tells the inner process, which is the first one of the new namespaces, its folder.
const worldVariable = "GAMEDAY_SHOP_WORLD"

// failed is the exit code when the world does not come up; otherwise it is the command's own.
const failed = 125

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "shop-containers: which command? say: shop-containers bin/gameday run examples/shop-containers/containers.hcl")
		os.Exit(2)
	}
	step := outside
	if dir := os.Getenv(worldVariable); dir != "" {
		step = func() (int, error) { return inside(dir, os.Args[1:]) }
	}
	code, err := step()
	if err != nil {
		fmt.Fprintf(os.Stderr, "shop-containers: %v\n", err)
		code = max(code, failed)
	}
	os.Exit(code)
}

// outside starts this program again in new namespaces, and clears away its folder and control groups when it has ended.
func outside() (int, error) {
	if err := dockerrig.Missing(); err != nil {
		return failed, err
	}
	dir, release, err := folder()
	if err != nil {
		return failed, err
	}
	self, err := os.Executable()
	if err != nil {
		return failed, errors.Join(err, release())
	}
	runtime.LockOSThread() // the inner process dies with this thread
	inner := exec.Command(self, os.Args[1:]...)
	inner.Env = append(os.Environ(), worldVariable+"="+dir)
	inner.Stdin, inner.Stdout, inner.Stderr = os.Stdin, os.Stdout, os.Stderr
	inner.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC, Unshareflags: syscall.CLONE_NEWNS,
		Pdeathsig: syscall.SIGKILL,
	}
	code, err := run(inner)
	return code, errors.Join(err, release())
}

// run runs a command to its end and returns its exit code. SIGTERM is handed on; SIGINT is not, as a terminal sends it to
// everybody in the foreground.
func run(c *exec.Cmd) (int, error) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	if err := c.Start(); err != nil {
		return failed, err
	}
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				if s == syscall.SIGTERM {
					_ = c.Process.Signal(s)
				}
			case <-ended:
				return
			}
		}
	}()
	err := c.Wait()
	close(ended)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

// folder makes the world's folder, and removes those of worlds that were killed. A world holds a lock on its folder for life.
func folder() (dir string, release func() error, err error) {
	old, _ := filepath.Glob(filepath.Join(os.TempDir(), "gd-shop-*"))
	for _, path := range old {
		if lock, err := hold(path); err == nil {
			_ = dockerrig.Sweep(path) // what cannot be removed now will be the next time
			lock.Close()
		}
	}
	if dir, err = os.MkdirTemp("", "gd-shop-"); err != nil {
		return "", nil, err
	}
	lock, err := hold(dir)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() error { return errors.Join(dockerrig.Sweep(dir), lock.Close()) }, nil
}

// hold locks a folder.
func hold(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), f.Close())
	}
	return f, nil
}
