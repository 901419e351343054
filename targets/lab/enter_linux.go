package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that the outer process passes on to the conductor.
var forwarded = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGWINCH, syscall.SIGUSR1, syscall.SIGUSR2,
}

// Enter runs this program's command line again as the conductor of a fresh lab, waits for its end, and returns its
// exit code: 128 plus the number when a signal ended it. Meanwhile signals go to the conductor. An error means that
// there was no lab, or that it was killed as a whole; Possible tells beforehand. When Enter's process dies, the
// conductor gets the signal Abandoned and o.Grace.
func Enter(o EnterOptions) (exit int, err error) {
	signals := make(chan os.Signal, 64)
	for _, s := range forwarded {
		if !signal.Ignored(s) { // a nohup of ours is also the conductor's
			signal.Notify(signals, s)
		}
	}
	defer func() {
		signal.Stop(signals)
		close(signals)
	}()
	grace := o.Grace
	if grace == 0 {
		grace = DefaultGrace
	}
	r, err := execute(roleInit, []string{graceVariable + "=" + grace.String()}, o)
	if err != nil && o.Notice != nil {
		err = errors.Join(err, o.Notice.Withdraw())
	}
	if err != nil {
		return 0, err
	}
	go r.forward(signals)
	s, err := r.wait(o.Ended)
	switch {
	case err != nil:
		return 0, fmt.Errorf("running the lab: %w", err)
	case s.Error != "":
		return 0, diagnose(errors.New(s.Error))
	}
	return s.Exit, nil
}

// Possible reports whether a lab can be made here, by making one and throwing it away. Its error says in one line what
// stands in the way and what to do about it.
func Possible() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("trying a lab: %w", err)
	}
	defer null.Close()
	r, err := execute(roleProbe, nil, EnterOptions{Stdin: null, Stdout: null, Stderr: null})
	if err != nil {
		return err
	}
	limit := time.AfterFunc(10*time.Second, func() { _ = r.cmd.Process.Kill() })
	defer limit.Stop()
	s, err := r.wait(nil)
	switch {
	case err != nil:
		return fmt.Errorf("trying a lab: %w", err)
	case s.Error != "":
		return diagnose(errors.New(s.Error))
	}
	return nil
}

// running is this program in a role that is the first process of a lab.
type running struct {
	cmd      *exec.Cmd
	lifeline *os.File // our end
	status   *os.File // our end
}

// execute starts this program again as the first process of a new lab.
func execute(role string, env []string, o EnterOptions) (*running, error) {
	if !roleKnown {
		return nil, errNoRole
	}
	lifeline, lifelineOurs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a lab: %w", err)
	}
	defer lifeline.Close()
	statusOurs, statusTheirs, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a lab: %w", err), lifelineOurs.Close())
	}
	defer statusTheirs.Close()

	cmd := exec.Command("/proc/self/exe") // even when the file has been replaced since
	cmd.Args = append([]string{"gameday-lab-" + role}, os.Args...)
	cmd.Env = append(append(withoutRole(os.Environ()), roleVariable+"="+role), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = or(o.Stdin, os.Stdin), or(o.Stdout, os.Stdout), or(o.Stderr, os.Stderr)
	cmd.ExtraFiles = []*os.File{lifeline, statusTheirs}
	if o.Notice != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, o.Notice.file)
	}
	cmd.SysProcAttr = labAttributes()
	if err := cmd.Start(); err != nil {
		lifelineOurs.Close()
		statusOurs.Close()
		return nil, diagnose(err)
	}
	if o.Notice != nil {
		_ = o.Notice.Release() // the lock lives on in the lab's first process
	}
	return &running{cmd: cmd, lifeline: lifelineOurs, status: statusOurs}, nil
}

// labAttributes are those of a lab's first process. Its session is its own, so that a terminal's Ctrl-C reaches the
// outer process alone.
func labAttributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
	}
	if !mayMakeNamespaces() {
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// mayMakeNamespaces reports whether this process is root with root's powers, which it is not in most containers.
func mayMakeNamespaces() bool {
	if os.Geteuid() != 0 {
		return false
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return false
	}
	const need = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN
	return data[0].Effective&need == need
}

// forward sends each signal's number down the lifeline. A byte in a pipe cannot be lost, as a signal to a process
// that is still starting can.
func (r *running) forward(signals <-chan os.Signal) {
	for s := range signals {
		if n, ok := s.(syscall.Signal); ok {
			if _, err := r.lifeline.Write([]byte{byte(n)}); err != nil {
				return
			}
		}
	}
}

// wait returns the status with which the lab's first process ended. Its error says that it was killed. That process lets go of
// its end of the pipe when it dies, and is dead for good only when everything in the lab is; ended is called in between.
func (r *running) wait(ended func()) (status, error) {
	defer r.lifeline.Close()
	defer r.status.Close()
	dead := make(chan error, 1)
	go func() {
		err := r.cmd.Wait()
		// Every other end of the pipe died with the lab; the limit is for a kernel that is slow to close them.
		_ = r.status.SetReadDeadline(time.Now().Add(time.Second))
		dead <- err
	}()
	line, err := io.ReadAll(r.status)
	if ended != nil {
		ended()
	}
	died := <-dead
	var s status
	if err := json.Unmarshal(line, &s); err == nil {
		return s, nil
	}
	if died == nil {
		died = err
	}
	return status{}, fmt.Errorf("its first process was killed, and everything in the lab died with it (%v)", died)
}
