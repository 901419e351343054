package killmatrix

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// sandbox is a worker in process, mount and network namespaces of its own. When its first process ends, everything in
// it ends, so that no experiment can outlive the test.
type sandbox struct {
	cmd *exec.Cmd // nil in a virtual machine
	in  io.WriteCloser
	out *bufio.Reader
}

// sandboxCommand is the first process of a sandbox. Without root it gets a user namespace too.
func sandboxCommand(dir string) *exec.Cmd {
	cmd := as(roleInit)
	cmd.Env = append(cmd.Env, "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// openSandbox starts a worker.
func openSandbox(dir string) (*sandbox, error) {
	cmd := sandboxCommand(dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	ended := make(chan struct{})
	go func() {
		runtime.LockOSThread() // Pdeathsig is about the thread, which must live as long as the sandbox
		started <- cmd.Start()
		<-ended
	}()
	if err := <-started; err != nil {
		close(ended)
		return nil, err
	}
	s := &sandbox{cmd: cmd, in: in, out: bufio.NewReader(out)}
	line, err := s.out.ReadString('\n')
	if err != nil || line != "ready\n" {
		in.Close()
		err = fmt.Errorf("the sandbox said %q: %w", line, errors.Join(err, cmd.Wait()))
		close(ended)
		return nil, err
	}
	return s, nil
}

// needSandbox opens a sandbox for the test, or skips it.
func needSandbox(t *testing.T) *sandbox {
	t.Helper()
	s, err := openSandbox(t.TempDir())
	if err != nil {
		why := fmt.Sprintf("no sandbox can be made here: %v; run as root, or allow user namespaces", err)
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	t.Cleanup(func() {
		s.in.Close()
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("the sandbox: %v", err)
		}
	})
	return s
}

// run has the worker run a cell.
func (s *sandbox) run(c Cell) Result {
	broken := func(err error) Result { return Result{Cell: c, Outcome: Broken, Why: err.Error()} }
	line, err := json.Marshal(c)
	if err != nil {
		return broken(err)
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		return broken(fmt.Errorf("asking the worker: %w", err))
	}
	answer, err := s.out.ReadBytes('\n')
	if err != nil {
		return broken(fmt.Errorf("hearing the worker: %w", err))
	}
	var r Result
	if err := json.Unmarshal(answer, &r); err != nil {
		return broken(fmt.Errorf("the worker said %q: %w", answer, err))
	}
	return r
}

// playWorker runs the cells that it reads, one after the other.
func playWorker() error {
	if err := enterGroups(); err != nil {
		return err
	}
	fmt.Println("ready")
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	l := &laboratory{atomic: map[Cell]bool{}, dead: map[string]string{}}
	for {
		var c Cell
		if err := in.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := out.Encode(l.run(c)); err != nil {
			return err
		}
	}
}
