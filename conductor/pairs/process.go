package pairs

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// endWithin is how long processes have to end by themselves before they are killed.
const endWithin = 10 * time.Second

// process is a shell command with all that it has started. Its leader is not waited for before the end: as long as it
// is not, the number of its group belongs to nobody else, and a signal to it reaches what was started here and nothing
// else.
type process struct {
	cmd  *exec.Cmd
	code chan int      // gets the command's exit code, −1 when it was killed
	gone chan struct{} // closed when no process holds the pipe any more that all inherit
}

// leader runs the command, tells its exit code on descriptor 3, and leaves descriptor 4 open in all that it starts.
const leader = `sh -c "$1" 3>&-; echo $? >&3`

// start starts a command of a side.
func start(p *place, pair int, line string, log *os.File) (*process, error) {
	codeRead, codeWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	goneRead, goneWrite, err := os.Pipe()
	if err != nil {
		codeRead.Close()
		codeWrite.Close()
		return nil, err
	}
	cmd := exec.Command("sh", "-c", leader, "sh", line)
	cmd.Dir = p.folder
	cmd.Env = append(cleanEnviron(), "GAMEDAY_SIDE="+p.Name, fmt.Sprintf("GAMEDAY_PAIR=%d", pair))
	if log != nil {
		cmd.Stdout, cmd.Stderr = log, log
	}
	cmd.ExtraFiles = []*os.File{codeWrite, goneWrite}
	cmd.SysProcAttr = group()
	err = cmd.Start()
	codeWrite.Close()
	goneWrite.Close()
	if err != nil {
		codeRead.Close()
		goneRead.Close()
		return nil, fmt.Errorf("starting %s: %w", line, err)
	}
	r := &process{cmd: cmd, code: make(chan int, 1), gone: make(chan struct{})}
	go func() {
		defer codeRead.Close()
		code := -1
		if _, err := fmt.Fscan(codeRead, &code); err != nil {
			code = -1
		}
		r.code <- code
	}()
	go func() {
		defer goneRead.Close()
		_, _ = io.Copy(io.Discard, goneRead)
		close(r.gone)
	}()
	return r, nil
}

// end ends everything that the command has started and that is still in its group: gently, and after a while not.
func (r *process) end(grace time.Duration) {
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGTERM)
	limit := time.NewTimer(grace)
	defer limit.Stop()
	select {
	case <-r.gone:
	case <-limit.C:
	}
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	_ = r.cmd.Wait() // its code is known
}

// shell runs a command of a side to its end, and ends with it whatever it has left in the background.
func shell(ctx context.Context, p *place, pair int, line string, log *os.File) error {
	r, err := start(p, pair, line, log)
	if err != nil {
		return err
	}
	defer r.end(endWithin)
	select {
	case code := <-r.code:
		return failed(line, code)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// failed says that a command did not end well.
func failed(line string, code int) error {
	switch {
	case code == 0:
		return nil
	case code < 0:
		return fmt.Errorf("%s: it was killed", line)
	}
	return fmt.Errorf("%s: exit status %d", line, code)
}
