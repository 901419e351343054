package collector

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

const (
	// ordering bounds how long it may take until the objects are in the cluster, and clearing until they are gone.
	ordering = 90 * time.Second
	clearing = 2 * time.Minute
	// maxNews bounds one line of news.
	maxNews = 1 << 20
)

// Cluster has runners started in a Kubernetes cluster, by a program that speaks to clusters: it is given the order, and deletes what it made
// when its input ends, also when this process is killed.
type Cluster struct {
	// Command returns the program, not started.
	Command func() (*exec.Cmd, error)
}

var _ Starter = Cluster{}

// Start hands the order over, and returns when the objects are in the cluster.
func (c Cluster) Start(ctx context.Context, o Order, lost func(int, error), said func(level, text string)) (stop func() error, err error) {
	cmd, err := c.Command()
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a terminal's Ctrl-C is for gameday
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	h := &handed{order: o, lost: lost, said: said, made: make(chan error, 1), over: make(chan struct{}), logs: map[int]*child.Log{}}
	go func() {
		h.hear(out)
		_ = cmd.Wait() // what it ended of, it has said
		close(h.over)
	}()
	stop = sync.OnceValue(func() error {
		in.Close()
		return h.wait(clearing)
	})
	if err := json.NewEncoder(in).Encode(o); err != nil {
		return nil, andLeft(fmt.Errorf("telling %s: %w", filepath.Base(cmd.Path), err), stop())
	}
	if o.Logs != nil {
		o.Logs.posts(newPoster(in, h.over).post)
	}
	timer := time.NewTimer(ordering)
	defer timer.Stop()
	select {
	case err = <-h.made:
	case <-h.over:
		err = errors.New("it ended without a word")
		select {
		case err = <-h.made:
		default:
		}
	case <-timer.C:
		err = fmt.Errorf("nothing was made within %s", ordering)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, andLeft(err, stop())
	}
	return stop, nil
}

// andLeft returns an error that is ErrLeft as well when the second one is. Its text is that of the first: what may be left was said.
func andLeft(err, left error) error {
	if left == nil {
		return err
	}
	return leftError{err}
}

// leftError is an error after which something may be left.
type leftError struct{ error }

func (e leftError) Unwrap() error        { return e.error }
func (e leftError) Is(target error) bool { return target == ErrLeft }

// handed is an order that was handed over.
type handed struct {
	order Order
	lost  func(int, error)
	said  func(level, text string)
	made  chan error
	over  chan struct{}
	logs  map[int]*child.Log
	gone  bool // it said that everything is, or what is left
	clean bool // everything is
}

// hear takes the news, to their end.
func (h *handed) hear(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 0, 64<<10), maxNews)
	for lines.Scan() {
		var n News
		if json.Unmarshal(lines.Bytes(), &n) == nil {
			h.one(n)
		}
	}
	h.silence()
	for _, l := range h.logs {
		_ = l.Close() // a log that cannot be written to the end is cut off
	}
	if !h.gone {
		h.said("warning", "the program that speaks to the cluster ended before it had cleaned up: "+h.lapse())
	}
}

// lapse says what becomes of what is left. Only this run's is to be deleted: there may be others' beside it.
func (h *handed) lapse() string {
	how := fmt.Sprintf("what is left lapses in %s at the latest", h.order.Lasts.Round(time.Minute))
	if h.order.RunOn.Kind == loadgen.K6Operator {
		how = "the k6 operator deletes what is left if it had started the runners"
	}
	to := "--kubernetes"
	if a := h.order.Access; a.Kubeconfig != "" {
		to += " --kubeconfig " + a.Kubeconfig
	}
	if a := h.order.Access; a.Context != "" {
		to += " --context " + a.Context
	}
	return fmt.Sprintf("%s, and `gameday revert %s --run %s` deletes it now", how, to, h.order.Run)
}

func (h *handed) one(n News) {
	switch {
	case n.Error != "":
		h.gone = true // what it made, if anything, it says after this
		h.tell(errors.New(n.Error))
	case len(n.Made) > 0:
		h.said("info", fmt.Sprintf("%s: made %s", &h.order.RunOn, strings.Join(n.Made, ", ")))
		h.tell(nil)
	case n.Lost != nil:
		h.lost(n.Lost.Runner, errors.New(printable(n.Lost.Why, maxSaid)))
	case n.Said != nil:
		h.said(level(n.Said.Level), printable(n.Said.Text, maxSaid))
	case n.Log != nil:
		h.log(n.Log)
	case n.Ended > 0 && h.order.Logs != nil:
		h.keep(n.Ended-1, h.order.Logs.ended(n.Ended-1))
	case len(n.Left) > 0:
		h.gone = true
		h.said("warning", fmt.Sprintf("not everything that was made for the runners is gone: %s; %s", strings.Join(n.Left, ", "), h.lapse()))
	case n.Gone:
		h.gone, h.clean = true, true
	}
}

func (h *handed) tell(err error) {
	select {
	case h.made <- err:
	default:
	}
}

// level keeps to the levels that there are.
func level(s string) string {
	switch s {
	case "info", "error":
		return s
	}
	return "warning"
}

// log keeps what a runner's pod has printed.
func (h *handed) log(l *Log) {
	if l.Runner < 0 || l.Runner >= h.order.RunOn.Parallelism {
		return
	}
	text := []byte(l.Text)
	if h.order.Logs != nil {
		text = h.order.Logs.heard(l.Runner, text)
	}
	h.keep(l.Runner, text)
}

// keep writes what the i-th runner's pod has printed into its file.
func (h *handed) keep(i int, text []byte) {
	if len(text) == 0 {
		return
	}
	file := h.logs[i]
	if file == nil {
		var err error
		if file, err = child.OpenLog(filepath.Join(h.order.Dir, loadgen.RunnerName(i)+".log")); err != nil {
			return
		}
		h.logs[i] = file
	}
	_, _ = file.Write(text) // a Log takes everything
}

// wait waits for the program's end, and returns ErrLeft unless everything was seen to be gone by then. It is not killed: it goes on
// deleting.
func (h *handed) wait(limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-h.over:
		if h.clean {
			return nil
		}
	case <-timer.C:
		h.said("warning", fmt.Sprintf("the runners were not gone %s after their traffic had ended; it is still being tried", limit))
	}
	return ErrLeft
}
