package lab

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/targets/lab/power"
)

const (
	bootLimit = 10 * time.Second // to be on the network
	dieLimit  = 10 * time.Second // for the kernel to end a node's processes
	stopLimit = 4 * time.Second  // for a node to shut itself down
)

// node is one test host as lab init keeps it: on or off, and when it next boots.
type node struct {
	plan  nodePlan
	cable string // name of its link in the core
	nodes *nodes
	logs  *os.File

	turn sync.Mutex // held over a whole change of power

	mu      sync.Mutex // guards what follows
	on      *boot
	bootID  string
	boots   int
	alarm   *time.Timer // boots the node by itself
	bootsAt time.Time
	trouble string
	retired bool // the lab was stopped; it shall never boot again
}

// boot is one life of a node, from power on to power off.
type boot struct {
	id      string
	child   *child
	link    netlink.Link
	socket  *os.File // to the node's first process
	network faults.Namespace
	up      chan struct{} // closed when the node is on the network
	ready   chan struct{} // closed when its processes are ready, or one failed

	mu        sync.Mutex // guards what follows
	processes []processEvent
	trouble   string
}

// present returns the node's present life, or nil while it is off.
func (n *node) present() *boot {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.on
}

// powerOn boots the node unless it is on.
func (n *node) powerOn() error {
	n.turn.Lock()
	defer n.turn.Unlock()
	return n.bootNow()
}

// bootNow is powerOn for those who hold turn.
func (n *node) bootNow() error {
	n.plannedBoot(0)
	n.mu.Lock()
	on, retired := n.on != nil, n.retired
	n.mu.Unlock()
	if retired {
		return fmt.Errorf("booting node %s: its lab was stopped", n.plan.Name)
	}
	if on {
		return nil
	}
	b, err := n.boot()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.trouble = err.Error()
		return fmt.Errorf("booting node %s: %w", n.plan.Name, err)
	}
	n.on, n.bootID, n.trouble = b, b.id, ""
	n.boots++
	go n.watch(b)
	return nil
}

// boot starts the node's first process, connects it, and returns when it is on the network.
func (n *node) boot() (*boot, error) {
	p := n.plan
	p.BootID = newBootID()
	b, err := n.launch(p)
	if err != nil {
		return nil, err
	}
	if err := n.connect(b); err != nil {
		b.discard(n.nodes.network)
		return nil, err
	}
	limit := time.NewTimer(bootLimit)
	defer limit.Stop()
	select {
	case <-b.up:
		return b, nil
	case <-b.child.done:
		err = fmt.Errorf("its first process ended (%s)", exitText(b.child.status))
	case <-limit.C:
		err = fmt.Errorf("it was not on the network after %s", bootLimit)
	}
	if why := b.why(); why != "" {
		err = errors.New(why)
	}
	b.discard(n.nodes.network)
	return nil, err
}

// launch starts the node's first process in new namespaces and gives it its plan.
func (n *node) launch(p nodePlan) (*boot, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making its socket: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "node")
	defer theirs.Close()
	// Ours is polled, so that closing it ends the reader.
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, errors.Join(fmt.Errorf("making its socket: %w", err), unix.Close(fds[0]))
	}
	ours := os.NewFile(uintptr(fds[0]), "lab")
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	defer null.Close()
	c, err := n.nodes.children.start("/proc/self/exe", []string{"gameday-lab-node", p.Name}, &syscall.ProcAttr{
		// Nothing of the conductor's environment, which may hold secrets that a node's processes could read.
		Env:   []string{roleVariable + "=" + roleNode},
		Files: []uintptr{null.Fd(), null.Fd(), 2, theirs.Fd(), n.logs.Fd()},
		Sys: &syscall.SysProcAttr{
			Setsid: true,
			Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC |
				unix.CLONE_NEWUTS,
		},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting its first process: %w", err), ours.Close())
	}
	b := &boot{id: p.BootID, child: c, socket: ours, up: make(chan struct{}), ready: make(chan struct{})}
	if err := b.send(command{Plan: &p}); err != nil {
		b.discard(n.nodes.network)
		return nil, err
	}
	go b.listen()
	return b, nil
}

// connect lays the cable, while the node's first process is busy with its mounts, and tells it.
func (n *node) connect(b *boot) error {
	var err error
	if b.network, err = networkOf(b.child.pid); err != nil {
		return err
	}
	if b.link, err = n.nodes.network.attach(n.cable, n.plan.Address, b.child.pid); err != nil {
		return err
	}
	return b.send(command{Do: doLink})
}

// send writes one line to the node's first process.
func (b *boot) send(c command) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if _, err := b.socket.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("talking to its first process: %w", err)
	}
	return nil
}

// listen takes in what the node's first process reports, until it dies.
func (b *boot) listen() {
	in := json.NewDecoder(b.socket)
	for {
		var e event
		if err := in.Decode(&e); err != nil {
			return
		}
		b.mu.Lock()
		if e.Trouble != "" {
			b.trouble = e.Trouble
		}
		if e.Processes != nil {
			b.processes = e.Processes
		}
		b.mu.Unlock()
		if e.Up {
			close(b.up)
		}
		if e.Ready {
			close(b.ready)
		}
	}
}

// why returns what the node's first process said was wrong.
func (b *boot) why() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trouble
}

// discard ends a life that never became one.
func (b *boot) discard(network *coreNetwork) {
	_ = b.end(network)
}

// end takes the node's power away: first its cable, so that no process can say goodbye to its peers, then its life.
func (b *boot) end(network *coreNetwork) error {
	var errs []error
	if b.link != nil {
		errs = append(errs, network.cut(b.link))
	}
	errs = append(errs, b.child.signal(syscall.SIGKILL))
	limit := time.NewTimer(dieLimit)
	defer limit.Stop()
	select {
	case <-b.child.done: // the kernel reports it only after all processes of the node are gone
	case <-limit.C:
		errs = append(errs, fmt.Errorf("its processes are still dying after %s", dieLimit))
	}
	if b.link != nil {
		errs = append(errs, network.detach(b.link))
	}
	errs = append(errs, b.socket.Close())
	return errors.Join(errs...)
}

// watch notices when the node's first process dies and nobody took its power away.
func (n *node) watch(b *boot) {
	<-b.child.done
	n.turn.Lock()
	defer n.turn.Unlock()
	n.mu.Lock()
	mine := n.on == b
	if mine {
		n.on = nil
		n.trouble = fmt.Sprintf("its first process died (%s)", exitText(b.child.status))
	}
	n.mu.Unlock()
	if mine {
		_ = b.end(n.nodes.network) // the kernel has done the rest, or will
	}
}

// powerOff takes the node's power away, and plans its boot when down is not zero.
func (n *node) powerOff(down time.Duration) error {
	n.turn.Lock()
	defer n.turn.Unlock()
	err := n.off()
	n.plannedBoot(down)
	if err != nil {
		return fmt.Errorf("powering node %s off: %w", n.plan.Name, err)
	}
	return nil
}

// off ends the node's present life, if it has one. The caller holds turn.
func (n *node) off() error {
	n.mu.Lock()
	b := n.on
	n.on = nil
	n.trouble = ""
	n.mu.Unlock()
	if b == nil {
		return nil
	}
	return b.end(n.nodes.network)
}

// plannedBoot forgets when the node would boot by itself, and plans it anew when down is not zero. The caller holds
// turn.
func (n *node) plannedBoot(down time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.alarm != nil {
		n.alarm.Stop()
	}
	n.alarm, n.bootsAt = nil, time.Time{}
	if down <= 0 {
		return
	}
	n.bootsAt = time.Now().Add(down)
	var alarm *time.Timer
	alarm = time.AfterFunc(down, func() {
		n.turn.Lock()
		defer n.turn.Unlock()
		n.mu.Lock()
		due := n.alarm == alarm // not replaced or stopped while this waited for its turn
		n.mu.Unlock()
		if due {
			_ = n.bootNow() // its error is the node's trouble
		}
	})
	n.alarm = alarm
}

// shutDown lets the node end its processes, and takes its power for good.
func (n *node) shutDown() error {
	n.turn.Lock()
	defer n.turn.Unlock()
	n.plannedBoot(0)
	n.mu.Lock()
	n.retired = true
	n.mu.Unlock()
	if b := n.present(); b != nil && b.send(command{Do: doStop}) == nil {
		limit := time.NewTimer(stopLimit)
		defer limit.Stop()
		select {
		case <-b.child.done:
		case <-limit.C:
		}
	}
	if err := n.off(); err != nil {
		return fmt.Errorf("stopping node %s: %w", n.plan.Name, err)
	}
	return nil
}

// awaitReady waits until the node's processes are ready.
func (n *node) awaitReady(ctx context.Context) error {
	b := n.present()
	if b == nil {
		return fmt.Errorf("node %s lost power while its processes started", n.plan.Name)
	}
	select {
	case <-b.ready:
	case <-b.child.done:
		return fmt.Errorf("node %s died while its processes started (%s)", n.plan.Name, exitText(b.child.status))
	case <-ctx.Done():
		return fmt.Errorf("node %s: waiting for its processes: %w", n.plan.Name, ctx.Err())
	}
	if why := b.why(); why != "" {
		return fmt.Errorf("node %s: %s", n.plan.Name, why)
	}
	return nil
}

// state returns what is known of the node. find turns a pid in the node whose first process is init into a process.
func (n *node) state(find func(init, inner int) faults.Process) power.State {
	n.mu.Lock()
	s := power.State{Name: n.plan.Name, Address: n.plan.Address, BootID: n.bootID, Boots: n.boots, BootsAt: n.bootsAt,
		Trouble: n.trouble}
	b := n.on
	n.mu.Unlock()
	for _, p := range n.plan.Processes {
		s.Processes = append(s.Processes, power.Process{Name: p.Name})
	}
	if b == nil {
		return s
	}
	s.On, s.Init, s.Network = true, describe(b.child.pid), b.network
	b.mu.Lock()
	s.Trouble = b.trouble
	reported := b.processes
	b.mu.Unlock()
	for _, p := range reported {
		i := slices.IndexFunc(s.Processes, func(known power.Process) bool { return known.Name == p.Name })
		if i < 0 {
			continue
		}
		out := power.Process{Name: p.Name, Running: p.PID != 0, Ready: p.Ready, Restarts: p.Restarts, LastExit: p.LastExit}
		if p.PID != 0 {
			out.Process = find(b.child.pid, p.PID)
		}
		s.Processes[i] = out
	}
	return s
}

// newBootID returns a random UUID, as the kernel makes one at each boot.
func newBootID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
