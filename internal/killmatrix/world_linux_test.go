package killmatrix

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/process"
)

// fixture is what the matrix needs to know of one kind.
type fixture struct {
	// needs says what is missing here to run the kind, or nothing.
	needs func() string
	// build makes the world of one cell: where the fault lands, and how the kernel shows that it does.
	build func(w *world) error
}

// world is one cell's part of the sandbox: folders, processes, networks. A fixture's build fills in the second half.
type world struct {
	dir   string // the site: all folders of this cell
	run   string // the run's name, which marks what is ours
	procs map[string]*proc
	hosts []*host

	config string       // of the fault, JSON
	place  faults.Place // where it lands
	used   int64        // bytes of the world's disk before the fault
	// touched reports whether the effect of the fault is there now, judging by what the kernel does or says, and how
	// that is known.
	touched func() (bool, string)
	stands  bool         // the kernel does not let go of it by itself, although the kind renews
	kill    func() error // ends the target's process, or the last process of its namespace
	// extra adds lines to the snapshot.
	extra func() ([]string, error)
}

func (w *world) folder() string    { return filepath.Join(w.dir, "world") }
func (w *world) temp() string      { return filepath.Join(w.dir, "tmp") }
func (w *world) disk() string      { return filepath.Join(w.dir, "disk") }
func (w *world) ledgerDir() string { return filepath.Join(w.dir, "disk", "ledger") }

// newWorld makes the folders: the ledger stands on a small disk of its own, and so does the world. Lasting ones stand
// on the disk below, to be looked at after a reboot.
func newWorld(number int, lasting bool) (*world, error) {
	w := &world{procs: map[string]*proc{}, config: "{}",
		run: fmt.Sprintf("matrix-%d-%d", number, time.Now().UnixNano()%1e9)}
	dir, err := os.MkdirTemp("", "cell-")
	if err != nil {
		return nil, err
	}
	w.dir = dir
	for path, size := range map[string]string{w.disk(): "1m", w.folder(): "64m"} {
		if err := os.Mkdir(path, 0o755); err != nil {
			return w, err
		}
		if lasting {
			continue
		}
		if err := unix.Mount("tmpfs", path, "tmpfs", 0, "size="+size); err != nil {
			return w, fmt.Errorf("mounting a small disk: %w", err)
		}
	}
	return w, errors.Join(os.Mkdir(w.temp(), 0o755), os.Mkdir(w.ledgerDir(), 0o700))
}

// close ends what is left of the world.
func (w *world) close() error {
	var errs []error
	for _, p := range w.procs {
		errs = append(errs, p.kill())
	}
	for _, path := range []string{w.ledgerDir(), w.disk(), w.folder()} {
		for unix.Unmount(path, unix.MNT_DETACH) == nil {
		}
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// proc is a process of the world.
type proc struct {
	id      faults.Process
	in      io.WriteCloser
	out     *bufio.Reader
	read    *os.File // under out
	asked   int      // questions, see answers
	partial string
	reaped  chan struct{} // closed when it has ended and was waited for
}

// start runs a process of the world and waits until it says hello, which is a whole line.
func (w *world) start(name string, cmd *exec.Cmd, clone uintptr, hello string) (*proc, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: clone, Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = write
	err = cmd.Start()
	write.Close()
	if err != nil {
		read.Close()
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &proc{in: in, out: bufio.NewReader(read), read: read, reaped: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		read.Close()
		close(p.reaped)
	}()
	if p.id, err = process.Identify(cmd.Process.Pid); err != nil {
		return nil, err
	}
	w.procs[name] = p
	if line, err := p.out.ReadString('\n'); err != nil || strings.TrimSpace(line) != hello {
		return nil, fmt.Errorf("%s said %q: %w", name, line, err)
	}
	return p, nil
}

// begin tells a process that it can go on, and waits until it is ready.
func (p *proc) begin() error {
	if _, err := fmt.Fprintln(p.in); err != nil {
		return err
	}
	line, err := p.out.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "ready" {
		return fmt.Errorf("pid %d said %q: %w", p.id.PID, line, err)
	}
	return nil
}

func (p *proc) alive() bool { return process.Alive(p.id) }

// kill ends the process by its number, which is its own until it was waited for.
func (p *proc) kill() error {
	select {
	case <-p.reaped:
		return nil
	default:
	}
	if err := unix.Kill(p.id.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-p.reaped:
		return nil
	case <-limit.C:
		return fmt.Errorf("pid %d does not die", p.id.PID)
	}
}

// stateOf is the letter of /proc/PID/stat, or 0 when there is no such process.
func stateOf(p faults.Process) byte {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
	if err != nil || !process.Alive(p) {
		return 0
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	return fields[0][0]
}

// answers reports whether the process says back what it is told within the limit. What was said to one that did not
// answer is answered later, and skipped then.
func (p *proc) answers(limit time.Duration) error {
	p.asked++
	want := fmt.Sprintf("%d\n", p.asked)
	if _, err := io.WriteString(p.in, want); err != nil {
		return err
	}
	if err := p.read.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			p.partial += line
			return err
		}
		line, p.partial = p.partial+line, ""
		if line == want {
			return nil
		}
	}
}
