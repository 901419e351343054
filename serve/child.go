package serve

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// mostLogs bounds how many files of what processes printed are kept; the oldest go.
const mostLogs = 200

// Program returns a Config.Begin that runs a program, with the arguments of each call. The process gets a session of its own and nothing of
// this one's: no terminal, no pipe, no file that is open here. So neither this process's death nor a signal to its group reaches it.
func Program(path string, args func(Call) []string) func(Call) (int, func() int, error) {
	return func(c Call) (int, func() int, error) {
		cmd := exec.Command(path, args(c)...)
		cmd.Args[0] = "gameday" // whatever name the file has
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if c.Log != "" {
			if log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err == nil { // a full disk keeps nothing from running
				defer log.Close()
				cmd.Stdout, cmd.Stderr = log, log
			}
		}
		if err := cmd.Start(); err != nil {
			return 0, nil, fmt.Errorf("starting %s: %w", path, err)
		}
		return cmd.Process.Pid, func() int {
			var exit *exec.ExitError
			if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
				return -1
			}
			return cmd.ProcessState.ExitCode()
		}, nil
	}
}

// logFile returns a file for what a process prints, and removes old ones. Where there can be none it is empty.
func (e *Engine) logFile(calendar, schedule string, now time.Time) string {
	dir := filepath.Join(OwnDir(e.State), "log")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return ""
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > mostLogs {
		names := make([]string, 0, len(entries))
		for _, f := range entries {
			names = append(names, f.Name())
		}
		slices.Sort(names) // by their times
		for _, name := range names[:len(names)-mostLogs] {
			_ = os.Remove(filepath.Join(dir, name)) // it is only what was printed
		}
	}
	stamp := strings.ReplaceAll(now.UTC().Format("20060102-150405.000"), ".", "-")
	return filepath.Join(dir, stamp+"-"+calendar+"-"+schedule+".log")
}
