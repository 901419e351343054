package collector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// Processes starts runners on this machine, a process each, apart from this one: as pods they would be started by somebody else too.
type Processes struct {
	Self string   // path of the program
	Args []string // that make it a runner, before the flags
}

var _ Starter = Processes{}

// process is one runner.
type process struct {
	cmd  *exec.Cmd
	log  *child.Log
	over chan struct{} // closed when it has exited
}

// Start starts the runners. They stop when their stream is over; one that does not is killed.
func (p Processes) Start(_ context.Context, o Order, lost func(int, error), said func(level, text string)) (stop func() error, err error) {
	var all []*process
	var mu sync.Mutex
	stopping := false
	stop = func() error {
		mu.Lock()
		stopping = true
		mu.Unlock()
		var wait sync.WaitGroup
		for _, r := range all {
			wait.Go(r.end)
		}
		wait.Wait()
		return nil
	}
	for i := range o.RunOn.Parallelism {
		r, err := p.one(o, i)
		if err != nil {
			_ = stop() // processes are waited for
			return nil, fmt.Errorf("starting %s: %w", loadgen.RunnerName(i), err)
		}
		all = append(all, r)
		go func() {
			why := r.wait()
			mu.Lock()
			quiet := stopping || why == nil
			mu.Unlock()
			if why == nil {
				why = errors.New("its process ended")
			}
			lost(i, why)
			if !quiet {
				said("warning", fmt.Sprintf("%s: %s", loadgen.RunnerName(i), why))
			}
			close(r.over)
		}()
	}
	return stop, nil
}

// one starts the i-th.
func (p Processes) one(o Order, i int) (*process, error) {
	log, err := child.OpenLog(filepath.Join(o.Dir, loadgen.RunnerName(i)+".log"))
	if err != nil {
		return nil, err
	}
	args := append(append([]string(nil), p.Args...), "--collector", o.Collector, "--segment", fmt.Sprintf("%d/%d", i+1, o.RunOn.Parallelism))
	cmd := exec.Command(p.Self, args...)
	cmd.Env = append(os.Environ(), TokenVariable+"="+o.Token)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = log, log, child.KillAfter
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a terminal's Ctrl-C is for gameday
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return &process{cmd: cmd, log: log, over: make(chan struct{})}, nil
}

// wait returns what the process ended of.
func (r *process) wait() error {
	err := r.cmd.Wait()
	said := strings.TrimSpace(r.log.Tail())
	_ = r.log.Close()
	if err == nil {
		return nil
	}
	if i := strings.LastIndexByte(said, '\n'); i >= 0 {
		said = said[i+1:]
	}
	if said != "" {
		return fmt.Errorf("its process %d ended: %w: %s", r.cmd.Process.Pid, err, plain(said))
	}
	return fmt.Errorf("its process %d ended: %w", r.cmd.Process.Pid, err)
}

// end waits for the process, and kills it when it does not end by itself.
func (r *process) end() {
	timer := time.NewTimer(child.KillAfter)
	defer timer.Stop()
	select {
	case <-r.over:
	case <-timer.C:
		_ = r.cmd.Process.Kill() // its engine hears of it by the end of a pipe
		<-r.over
	}
}
