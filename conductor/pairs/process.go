package pairs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// endWithin is how long processes have to end by themselves before they are killed.
	endWithin = 10 * time.Second
	// soon is after what time it is looked for daemons among those that have not ended.
	soon = 200 * time.Millisecond
	// buried is how long it may take until what was killed is gone.
	buried = 2 * time.Second
)

// process is a shell command with all that it has started. Its leader is not waited for before the end: as long as it
// is not, the number of its group belongs to nobody else, and a signal to it reaches what was started here and nothing
// else.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the command itself has ended
	code int           // its exit code, −1 when it was killed; known when done is closed
	gone chan struct{} // closed when no process holds the pipe any more that all inherit
	pipe string        // what that pipe is called; empty when nobody can tell who holds it
	life *os.File      // closed when this program ends, however it does
}

// leader runs the command ($1), tells its exit code on descriptor 3, and leaves descriptor 4 open in all that it
// starts. Beside it waits what takes the group down when this program is killed: then descriptor 5 ends. All of it is
// told to end, is killed after ten seconds, and the cleanup command ($2) runs, as it would have.
const leader = `(
	trap '' TERM
	exec 3>&- 4>&-
	cat <&5 >/dev/null
	kill -TERM 0
	(sleep 10; sh -c "$2"; kill -KILL 0) &
	cat <&6 >/dev/null
	kill -KILL $!
	sh -c "$2"
	kill -KILL 0
) &
sh -c "$1" 3>&- 5<&- 6<&-; echo $? >&3`

// pipes are those between this program and a leader. Which ends are whose, start says.
type pipes struct{ code, gone, life [2]*os.File }

func newPipes() (p pipes, err error) {
	for _, ends := range []*[2]*os.File{&p.code, &p.gone, &p.life} {
		r, w, errOne := os.Pipe()
		ends[0], ends[1], err = r, w, errors.Join(err, errOne)
	}
	if err != nil {
		p.close()
	}
	return p, err
}

// close closes all ends. Those that are missing, or closed, make no difference.
func (p *pipes) close() {
	for _, f := range []*os.File{p.code[0], p.code[1], p.gone[0], p.gone[1], p.life[0], p.life[1]} {
		if f != nil {
			f.Close()
		}
	}
}

// start starts a command of a side. When this program is killed before it has ended it, cleanup runs; empty for none.
func start(p *place, pair int, line, cleanup string, log *os.File) (*process, error) {
	ends, err := newPipes()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("sh", "-c", leader, "sh", line, cleanup)
	cmd.Dir = p.folder
	cmd.Env = append(cleanEnviron(), "GAMEDAY_SIDE="+p.Name, fmt.Sprintf("GAMEDAY_PAIR=%d", pair))
	if log != nil {
		cmd.Stdout, cmd.Stderr = log, log
	}
	cmd.ExtraFiles = []*os.File{ends.code[1], ends.gone[1], ends.life[0], ends.gone[0]}
	cmd.SysProcAttr = Group()
	if err := cmd.Start(); err != nil {
		ends.close()
		return nil, fmt.Errorf("starting %s: %w", line, err)
	}
	for _, theirs := range []*os.File{ends.code[1], ends.gone[1], ends.life[0]} {
		theirs.Close()
	}
	r := &process{cmd: cmd, done: make(chan struct{}), code: -1, gone: make(chan struct{}), pipe: nameOf(ends.gone[0]),
		life: ends.life[1]}
	go func() {
		defer ends.code[0].Close()
		if _, err := fmt.Fscan(ends.code[0], &r.code); err != nil {
			r.code = -1
		}
		close(r.done)
	}()
	go func() {
		defer ends.gone[0].Close()
		_, _ = io.Copy(io.Discard, ends.gone[0])
		close(r.gone)
	}()
	return r, nil
}

// end ends everything that the command has started: gently, and after a while not. On Linux that reaches daemons too,
// which have left its group.
func (r *process) end(grace time.Duration) {
	group := r.cmd.Process.Pid
	_ = syscall.Kill(-group, syscall.SIGTERM)
	if !r.isGone(min(soon, grace)) {
		signalOutside(r.pipe, group, syscall.SIGTERM)
		if !r.isGone(grace) {
			signalOutside(r.pipe, group, syscall.SIGKILL)
		}
	}
	_ = syscall.Kill(-group, syscall.SIGKILL)
	_ = r.cmd.Wait() // its code is known
	r.isGone(buried)
	r.life.Close()
}

// isGone waits until all that the command has started is gone, but not longer than that.
func (r *process) isGone(within time.Duration) bool {
	limit := time.NewTimer(within)
	defer limit.Stop()
	select {
	case <-r.gone:
		return true
	case <-limit.C:
		return false
	}
}

// failed returns that the command itself has ended, and not well; nil when it is still there.
func (r *process) failed(line string) error {
	select {
	case <-r.done:
		return failed(line, r.code)
	default:
		return nil
	}
}

// shell runs a command of a side to its end, and ends with it whatever it has left in the background.
func shell(ctx context.Context, p *place, pair int, line string, log *os.File) error {
	r, err := start(p, pair, line, "", log)
	if err != nil {
		return err
	}
	defer r.end(endWithin)
	select {
	case <-r.done:
		return failed(line, r.code)
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
