package pairs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Group makes a group of processes whose leader is told to end when this program is killed.
func Group() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// nameOf returns what a pipe is called in the lists of open files of all processes that hold it; empty when unknown.
func nameOf(pipe *os.File) string {
	info, err := pipe.Stat()
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("pipe:[%d]", stat.Ino)
}

// signalOutside sends a signal to the processes that hold a pipe and are not in a group: daemons, which have left it.
// This process is left out.
func signalOutside(pipe string, group int, sig syscall.Signal) {
	if pipe == "" {
		return
	}
	syscall.ForkLock.RLock() // what is just being started here holds everything for a moment
	defer syscall.ForkLock.RUnlock()
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !holds(pid, pipe) {
			continue
		}
		p, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		// Looked at again now that p stands for one process: the number may have gone to another one.
		if of, err := syscall.Getpgid(pid); err == nil && of != group && holds(pid, pipe) {
			_ = p.Signal(sig)
		}
		_ = p.Release()
	}
}

// holds reports whether a process holds a pipe.
func holds(pid int, pipe string) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if name, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && name == pipe {
			return true
		}
	}
	return false
}
